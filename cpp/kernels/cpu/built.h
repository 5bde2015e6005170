#pragma once

#include "kernels/cpu/level.h"

namespace declip::cpu {

// Defined once per level that was built, and only there.
namespace base {
DECLIP_WEAK void built();
}
namespace avx512 {
DECLIP_WEAK void built();
}

}  // namespace declip::cpu

#include "kernels/cpu/built.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {

void built() {}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

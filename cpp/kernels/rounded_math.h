#pragma once

#include "kernels/host_device.h"

namespace declip {

/// a * b in float32. The double product is exact, so that it is rounded once
/// and no compiler makes one operation of it and a later sum.
DECLIP_HD float rounded_product(float a, float b) {
  return static_cast<float>(static_cast<double>(a) * static_cast<double>(b));
}

}  // namespace declip

#pragma once

#include "kernels/host_device.h"

namespace declip {

/// A channel of a turned pair: `other` is the pair's other channel, `sign` -1
/// for the first and 1 for the second.
DECLIP_HD float rotated(
    float x, float other, float sign, float cos, float sin) {
  return x * cos + sign * other * sin;
}

}  // namespace declip

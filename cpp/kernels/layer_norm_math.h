#pragma once

#include <cmath>

#include "kernels/activation_math.h"
#include "kernels/host_device.h"

namespace declip {

/// SwiGLU's gate.
DECLIP_HD float gated(float a, float b) { return silu(a) * b; }

/// Factor on x - mean: one over the deviation.
DECLIP_HD float norm_factor(float variance, float eps) {
  return 1.0f / std::sqrt(variance + eps);
}

DECLIP_HD float normed(
    float x, float mean, float factor, float weight, float bias) {
  return (x - mean) * factor * weight + bias;
}

}  // namespace declip

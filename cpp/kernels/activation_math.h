#pragma once

#include <cmath>

#include "kernels/exp_math.h"
#include "kernels/host_device.h"

namespace declip {

/// x * sigmoid(x).
DECLIP_HD float silu(float x) {
  const float small = exp_negative(-std::fabs(x));
  return x * (x < 0.0f ? small : 1.0f) / (1.0f + small);
}

/// x * Phi(x), the exact GELU: erf by Abramowitz and Stegun 7.1.26, error under
/// 1.5e-7.
DECLIP_HD float gelu(float x) {
  const float z = std::fabs(x) * 0.70710678f;
  const float t = 1.0f / (1.0f + 0.3275911f * z);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float tail = 0.5f * p * t * exp_negative(-z * z);  // 1 - Phi(|x|)
  return x * (x < 0.0f ? tail : 1.0f - tail);
}

/// GELU with tanh in place of erf: x * sigmoid(2 sqrt(2 / pi) (x + 0.044715
/// x^3)).
DECLIP_HD float gelu_tanh(float x) {
  const float z = 1.5957691216f * (x + 0.044715f * x * x * x);
  const float small = exp_negative(-std::fabs(z));
  return x * (z < 0.0f ? small : 1.0f) / (1.0f + small);
}

DECLIP_HD float relu(float x) { return x > 0.0f ? x : 0.0f; }

}  // namespace declip

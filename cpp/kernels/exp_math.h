#pragma once

#include <bit>
#include <cstdint>

#include "kernels/host_device.h"

namespace declip {

/// exp(x) for x <= 0, 0 where it would be subnormal (x < -87.7); relative error
/// under 2e-7. Cephes' expf: 2^n times a polynomial in the rest. No call and no
/// arithmetic under a condition, either of which would keep compilers from
/// vectorising the loop around it.
DECLIP_HD float exp_negative(float x) {
#if defined(__CUDA_ARCH__)
  return expf(x);
#else
  const float bounded = x > -88.0f ? x : -88.0f;  // also for NaN
  // Rounded by truncation: bounded * log2(e) is never positive.
  const auto power = static_cast<int32_t>(bounded * 1.44269504f - 0.5f);
  const auto n = static_cast<float>(power);
  const float r = bounded - n * 0.693359375f + n * 2.12194440e-4f;  // - n ln 2
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  // power = -127 gives the exponent bits of 0.
  return p * std::bit_cast<float>((power + 127) << 23);
#endif
}

}  // namespace declip

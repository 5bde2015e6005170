#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/host_device.h"

namespace declip {

/// exp(x) for x <= 0, 0 below -87; relative error under 2e-7. Plain arithmetic,
/// which compilers vectorise: Cephes' expf, 2^n times a polynomial in the rest.
DECLIP_HD float exp_negative(float x) {
#if defined(__CUDA_ARCH__)
  return expf(x);
#else
  const float bounded = x > -87.0f ? x : -87.0f;
  const float n = std::floor(bounded * 1.44269504f + 0.5f);  // log2(e)
  const float r = bounded - n * 0.693359375f + n * 2.12194440e-4f;  // - n ln 2
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return x > -87.0f ? p * power : 0.0f;
#endif
}

}  // namespace declip

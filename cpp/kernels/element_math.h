#pragma once

#include <bit>
#include <cstdint>

#include "kernels/bfloat16_math.h"
#include "kernels/host_device.h"

namespace declip {

/// Number formats that kernels read and write; all compute in float.
enum class ElementType { kFloat32, kBFloat16, kFloat16 };

struct BFloat16 {
  uint16_t bits;
};

/// IEEE 754 half precision by its bits.
struct Float16 {
  uint16_t bits;
};

DECLIP_HD float value(float x) { return x; }
DECLIP_HD float value(BFloat16 x) { return from_bfloat16(x.bits); }

DECLIP_HD float value(Float16 x) {
  const uint32_t sign = (x.bits & 0x8000u) << 16;
  const uint32_t rest = (x.bits & 0x7fffu) << 13;
  // Exponents are rebiased by a product, which is exact and takes subnormals
  // along; infinity and NaN have exponents of their own.
  const float scaled = std::bit_cast<float>(rest) * 0x1p112f;
  const float special = std::bit_cast<float>(rest | 0x7f800000u);
  const float magnitude = rest >= 0x0f800000u ? special : scaled;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
}

DECLIP_HD void put(float x, float& out) { out = x; }
DECLIP_HD void put(float x, BFloat16& out) { out.bits = to_bfloat16(x); }

/// Rounds to nearest, ties to even; NaN stays NaN.
DECLIP_HD void put(float x, Float16& out) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t rest = bits & 0x7fffffffu;
  uint32_t half;
  if (rest > 0x7f800000u) {
    half = 0x7e00u;
  } else if (rest >= 0x47800000u) {  // 65536 and above
    half = 0x7c00u;
  } else if (rest < 0x38800000u) {  // below 2^-14: a multiple of 2^-24
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(rest) + 0.5f) -
           0x3f000000u;
  } else {
    half = (rest - 0x38000000u + 0xfffu + ((rest >> 13) & 1u)) >> 13;
  }
  out.bits = static_cast<uint16_t>(half | sign);
}

}  // namespace declip

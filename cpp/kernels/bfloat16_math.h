#pragma once

#include <bit>
#include <cstdint>

#include "kernels/host_device.h"

namespace declip {

/// bfloat16 by its bits: plain integer arithmetic, so that loops over it
/// vectorise.
DECLIP_HD float from_bfloat16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// Rounds to nearest, ties to even; NaN stays NaN.
DECLIP_HD uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<uint16_t>(value == value ? rounded : 0x7fc0u);
}

}  // namespace declip

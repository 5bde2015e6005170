#pragma once

#include <cstdint>

#include "kernels/host_device.h"

namespace declip {

/// Two source positions of one output position; `weight` is the second's.
struct BilinearTap {
  int64_t first;
  int64_t second;
  float weight;
};

/// Position of output i when `in` samples become `out`: half-pixel centres,
/// edges clamped. In float32 throughout, so that large planes get PyTorch's
/// weights and not the exact ones.
DECLIP_HD BilinearTap bilinear_tap(int64_t i, int64_t in, int64_t out) {
  if (in == out) return {i, i, 0.0f};
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  float position = scale * (static_cast<float>(i) + 0.5f) - 0.5f;
  if (position < 0.0f) position = 0.0f;
  int64_t first = static_cast<int64_t>(position);
  if (first > in - 1) first = in - 1;
  float weight = position - static_cast<float>(first);
  if (weight > 1.0f) weight = 1.0f;
  return {first, first < in - 1 ? first + 1 : first, weight};
}

DECLIP_HD float lerp(float a, float b, float weight) {
  return (1.0f - weight) * a + weight * b;
}

}  // namespace declip

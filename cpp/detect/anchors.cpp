#include <ATen/ATen.h>

#include <cmath>

#include "detect/boxes.h"

namespace declip {
namespace {

constexpr float kAnchorScale = 8;                                // strides
constexpr std::array<float, 3> kAnchorRatios{0.5f, 1.0f, 2.0f};  // h / w

}  // namespace

// In float32 and in the order of mmdetection's AnchorGenerator.
at::Tensor make_anchors(int64_t h, int64_t w, double stride) {
  constexpr auto kRatios = static_cast<int64_t>(kAnchorRatios.size());
  float sides[kRatios][2];  // halves
  for (int64_t r = 0; r < kRatios; ++r) {
    const float tall = std::sqrt(kAnchorRatios[static_cast<size_t>(r)]);
    const float wide = 1.0f / tall;
    const auto base = static_cast<float>(stride);
    sides[r][0] = 0.5f * (base * wide * kAnchorScale);
    sides[r][1] = 0.5f * (base * tall * kAnchorScale);
  }
  const auto anchors = at::empty({h * w * kRatios, 4}, at::kFloat);
  float* out = anchors.mutable_data_ptr<float>();
  for (int64_t row = 0; row < h; ++row) {
    const auto y = static_cast<float>(row) * static_cast<float>(stride);
    for (int64_t column = 0; column < w; ++column) {
      const auto x = static_cast<float>(column) * static_cast<float>(stride);
      for (const auto& half : sides) {
        *out++ = x - half[0];
        *out++ = y - half[1];
        *out++ = x + half[0];
        *out++ = y + half[1];
      }
    }
  }
  return anchors;
}

}  // namespace declip

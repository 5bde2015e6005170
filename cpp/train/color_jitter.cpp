#include "train/color_jitter.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace declip {
namespace {

constexpr int kHueShift =
    12;                     // fixed point of OpenCV's two tables of quotients
constexpr int kHues = 180;  // of 8-bit HSV: 2 degrees each
constexpr int64_t kPixelGrain = 1 << 14;  // pixels that are worth a thread

using ByteTable = std::array<uint8_t, 256>;

/// round(numerator / i) in fixed point; 0 for i = 0.
std::array<int, 256> quotients(double numerator) {
  std::array<int, 256> out{};
  for (size_t i = 1; i < out.size(); ++i) {
    out[i] = static_cast<int>(
        std::lrint(numerator * (1 << kHueShift) / static_cast<double>(i)));
  }
  return out;
}

uint8_t cut_to_byte(float value) {
  return static_cast<uint8_t>(std::clamp(value, 0.0F, 255.0F));
}

/// float32(value) * factor + offset, as bytes.
ByteTable linear_bytes(double factor, double offset) {
  ByteTable out{};
  for (size_t i = 0; i < out.size(); ++i) {
    const float scaled = static_cast<float>(i) * static_cast<float>(factor);
    out[i] = cut_to_byte(scaled + static_cast<float>(offset));
  }
  return out;
}

template <typename Change>
void for_each_pixel(const at::Tensor& rgb, const Change& change) {
  auto* pixels = rgb.mutable_data_ptr<uint8_t>();
  at::parallel_for(
      0, rgb.numel() / 3, kPixelGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) change(pixels + 3 * i);
      });
}

void change_bytes(const at::Tensor& rgb, const ByteTable& table) {
  for_each_pixel(rgb, [&](uint8_t* pixel) {
    for (int c = 0; c < 3; ++c) pixel[c] = table[pixel[c]];
  });
}

}  // namespace

void rgb_to_hsv_u8(uint8_t* pixel) {
  static const auto by_value = quotients(255);
  static const auto by_range = quotients(kHues / 6.0);
  constexpr int kHalf = 1 << (kHueShift - 1);
  const int r = pixel[0], g = pixel[1], b = pixel[2];
  const int value = std::max({r, g, b});
  const int range = value - std::min({r, g, b});
  int hue = r - g + 4 * range;
  if (value == r) {
    hue = g - b;
  } else if (value == g) {
    hue = b - r + 2 * range;
  }
  hue = (hue * by_range[static_cast<size_t>(range)] + kHalf) >> kHueShift;
  const int saturation =
      (range * by_value[static_cast<size_t>(value)] + kHalf) >> kHueShift;
  pixel[0] = static_cast<uint8_t>(hue < 0 ? hue + kHues : hue);
  pixel[1] = static_cast<uint8_t>(saturation);
  pixel[2] = static_cast<uint8_t>(value);
}

void hsv_to_rgb_u8(uint8_t* pixel) {
  constexpr float kByte = 1.0F / 255.0F;
  constexpr float kSector = 6.0F / kHues;
  const float hue = static_cast<float>(pixel[0]) * kSector;
  const float saturation = static_cast<float>(pixel[1]) * kByte;
  const float value = static_cast<float>(pixel[2]) * kByte;
  const auto whole = static_cast<int>(hue);
  const float rest = hue - static_cast<float>(whole);
  const float low = value * (1.0F - saturation);
  const float falling = value * (1.0F - saturation * rest);
  const float rising = value * (1.0F - saturation * (1.0F - rest));
  const std::array<std::array<float, 3>, 6> sectors{{{value, rising, low},
                                                     {falling, value, low},
                                                     {low, value, rising},
                                                     {low, falling, value},
                                                     {rising, low, value},
                                                     {value, low, falling}}};
  const auto& rgb = sectors[static_cast<size_t>(whole % 6)];
  for (size_t c = 0; c < 3; ++c) pixel[c] = cut_to_byte(rgb[c] * 255.0F);
}

void jitter_colors(const at::Tensor& rgb, const ColorJitter& jitter) {
  const auto contrast = [&] {
    if (jitter.contrast != 1) {
      change_bytes(rgb, linear_bytes(jitter.contrast, 0));
    }
  };
  if (jitter.brightness != 0) {
    change_bytes(rgb, linear_bytes(1, jitter.brightness));
  }
  if (jitter.contrast_first) contrast();
  if (jitter.saturation != 1) {
    const auto table = linear_bytes(jitter.saturation, 0);
    for_each_pixel(rgb, [&](uint8_t* pixel) {
      rgb_to_hsv_u8(pixel);
      pixel[1] = table[pixel[1]];
      hsv_to_rgb_u8(pixel);
    });
  }
  if (jitter.hue != 0) {
    const auto shift = static_cast<int>(((jitter.hue % kHues) + kHues) % kHues);
    for_each_pixel(rgb, [&](uint8_t* pixel) {
      rgb_to_hsv_u8(pixel);
      pixel[0] = static_cast<uint8_t>((pixel[0] + shift) % kHues);
      hsv_to_rgb_u8(pixel);
    });
  }
  if (!jitter.contrast_first) contrast();
}

}  // namespace declip

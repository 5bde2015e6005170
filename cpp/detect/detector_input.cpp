#include "detect/detector_input.h"

#include <ATen/ATen.h>

#include <array>

#include "declip/resize.h"

namespace declip {
namespace {

// ImageNet's on the 0..255 scale, as mmdetection's configurations spell them.
constexpr std::array<double, 3> kMean{123.675, 116.28, 103.53};
constexpr std::array<double, 3> kStd{58.395, 57.12, 57.375};

float ratio(int64_t to, int64_t from) {
  return static_cast<float>(static_cast<double>(to) /
                            static_cast<double>(from));
}

}  // namespace

at::Tensor detector_image(const at::Tensor& rgb, int64_t side) {
  const auto normal = normalize_mmcv(rgb, kMean, kStd);
  if (normal.size(2) == side && normal.size(3) == side) return normal;
  auto out = at::zeros({1, 3, side, side}, at::kFloat);
  out.slice(2, 0, normal.size(2)).slice(3, 0, normal.size(3)).copy_(normal);
  return out;
}

DetectorPicture detector_picture(const at::Tensor& pixels, int64_t side) {
  DetectorPicture out;
  out.picture = {pixels.size(0), pixels.size(1)};
  out.resized = keep_ratio_size(out.picture, side, side);
  out.scale = {ratio(out.resized.width, out.picture.width),
               ratio(out.resized.height, out.picture.height)};
  // A picture that has the size already is not filtered.
  const auto rgb = out.resized == out.picture
                       ? rgb_pixels(pixels)
                       : resize_linear_u8(pixels, out.resized);
  out.image = detector_image(rgb, side);
  return out;
}

}  // namespace declip

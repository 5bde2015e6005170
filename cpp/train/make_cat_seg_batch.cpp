#include "declip/make_cat_seg_batch.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "declip/error.h"
#include "declip/resize.h"
#include "declip/size.h"
#include "train/color_jitter.h"

namespace declip {
namespace {

constexpr int64_t kLongestCrop = 16384;
constexpr int64_t kMostClasses = 1 << 20;
constexpr int64_t kGrey = 128;  // of padding, before it is normalised
constexpr double kMostBrightness = 255;
constexpr double kMostFactor = 16;

/// detectron2's ResizeShortestEdge: rounds half up.
Size short_side_size(Size from, int64_t short_side, int64_t long_side) {
  const auto width = static_cast<double>(from.width);
  const auto height = static_cast<double>(from.height);
  double factor = static_cast<double>(short_side) / std::min(width, height);
  const double longest = std::max(width, height) * factor;
  if (longest > static_cast<double>(long_side)) {
    factor *= static_cast<double>(long_side) / longest;
  }
  const auto side = [factor](double length) {
    return std::max<int64_t>(static_cast<int64_t>(length * factor + 0.5), 1);
  };
  return {side(height), side(width)};
}

/// What is cut out of the resized picture, at its left and top.
struct Crop {
  int64_t left = 0, top = 0;
  Size size;
};

Crop crop_of(const SemanticPicture& picture, Size resized, int64_t side) {
  const auto place = [](double share, int64_t beyond) {
    return std::min(
        static_cast<int64_t>(share * static_cast<double>(beyond + 1)), beyond);
  };
  Crop out;
  out.size = {std::min(resized.height, side), std::min(resized.width, side)};
  out.left = place(picture.crop_x, resized.width - out.size.width);
  out.top = place(picture.crop_y, resized.height - out.size.height);
  return out;
}

/// Of dimensions 0 and 1.
at::Tensor cut(const at::Tensor& map, const Crop& crop, bool mirror) {
  const auto part = map.narrow(0, crop.top, crop.size.height)
                        .narrow(1, crop.left, crop.size.width);
  return mirror ? part.flip(1) : part.contiguous();
}

/// Into float32 [3, S, S]: what is not painted is grey.
void paint_crop(const at::Tensor& rgb,
                const PixelStats& statistics,
                const at::Tensor& out) {
  const int64_t side = out.size(1), height = rgb.size(0), width = rgb.size(1);
  const auto* source = rgb.const_data_ptr<uint8_t>();
  auto* target = out.mutable_data_ptr<float>();
  for (int64_t c = 0; c < 3; ++c) {
    const auto channel = static_cast<size_t>(c);
    const auto mean = static_cast<float>(statistics.mean[channel] * 255);
    const auto deviation = static_cast<float>(statistics.std[channel] * 255);
    std::array<float, 256> table{};
    for (size_t value = 0; value < table.size(); ++value) {
      table[value] = (static_cast<float>(value) - mean) / deviation;
    }
    auto* plane = target + c * side * side;
    std::fill_n(plane, side * side, table[kGrey]);
    for (int64_t y = 0; y < height; ++y) {
      const auto* row = source + y * width * 3 + c;
      for (int64_t x = 0; x < width; ++x)
        plane[y * side + x] = table[row[3 * x]];
    }
  }
}

/// Labels at another size: the nearest pixel by torch's rule, of doubles as
/// the authors' program makes them before.
at::Tensor resize_labels(const at::Tensor& labels, Size to) {
  const auto map = labels.to(at::kDouble).unsqueeze(0).unsqueeze(0);
  return at::upsample_nearest2d(map, {to.height, to.width})
      .squeeze(0)
      .squeeze(0)
      .to(at::kLong);
}

void check_semantic(const SemanticPicture& picture, size_t at) {
  const auto refuse = [at](const auto&... why) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("pictures[", at, "]: ", why...));
  };
  const auto& labels = picture.labels;
  const auto type = labels.defined() ? labels.scalar_type() : at::kFloat;
  if (!labels.defined() || !labels.is_cpu() || labels.dim() != 2 ||
      (type != at::kByte && type != at::kShort && type != at::kInt) ||
      labels.size(0) != picture.pixels.size(0) ||
      labels.size(1) != picture.pixels.size(1)) {
    refuse("labels must be uint8, int16 or int32 [",
           picture.pixels.size(0),
           ", ",
           picture.pixels.size(1),
           "] on the CPU, the size of the picture.");
  }
  if (picture.short_side < 1 || picture.long_side < picture.short_side ||
      picture.long_side > kLongestCrop) {
    refuse("shortSide and longSide must be 1..",
           kLongestCrop,
           ", the short one no longer, received ",
           picture.short_side,
           " and ",
           picture.long_side,
           ".");
  }
  const auto is_share = [](double x) { return x >= 0 && x < 1; };
  if (!is_share(picture.crop_x) || !is_share(picture.crop_y)) {
    refuse("cropX and cropY must be 0 to below 1, received ",
           picture.crop_x,
           " and ",
           picture.crop_y,
           ".");
  }
  const auto is_factor = [](double x) { return x >= 0 && x <= kMostFactor; };
  if (!is_factor(picture.contrast) || !is_factor(picture.saturation) ||
      !(std::abs(picture.brightness) <= kMostBrightness) ||
      picture.hue < -180 || picture.hue > 180) {
    refuse("brightness must be -255..255, contrast and saturation 0..",
           kMostFactor,
           ", hue -180..180, received ",
           picture.brightness,
           ", ",
           picture.contrast,
           ", ",
           picture.saturation,
           " and ",
           picture.hue,
           ".");
  }
}

}  // namespace

SemanticPictures make_cat_seg_batch(std::vector<SemanticPicture> pictures,
                                    int64_t side,
                                    int64_t classes,
                                    const PixelStats& statistics,
                                    const Call& call) {
  if (pictures.empty()) {
    throw Error(ErrorCode::kInvalidArg, "A batch needs at least one picture.");
  }
  if (side < 1 || side > kLongestCrop || classes < 1 ||
      classes > kMostClasses) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("side must be 1..",
                         kLongestCrop,
                         " and classes 1..",
                         kMostClasses,
                         ", received ",
                         side,
                         " and ",
                         classes,
                         "."));
  }
  const auto count = static_cast<int64_t>(pictures.size());
  SemanticPictures out;
  out.images = at::empty({count, 3, side, side}, at::kFloat);
  out.labels = at::full({count, side, side}, -1, at::kLong);
  for (size_t i = 0; i < pictures.size(); ++i) {
    call.check();
    auto& picture = pictures[i];
    if (!picture.pixels.defined()) {
      throw Error(ErrorCode::kInvalidArg,
                  "A picture of a batch has no pixels.");
    }
    picture.pixels = rgb_pixels(picture.pixels);
    check_semantic(picture, i);
    const Size from{picture.pixels.size(0), picture.pixels.size(1)};
    const auto to =
        short_side_size(from, picture.short_side, picture.long_side);
    const auto crop = crop_of(picture, to, side);
    const auto resized =
        resize_pillow(picture.pixels.contiguous().const_data_ptr<uint8_t>(),
                      from,
                      to,
                      PillowFilter::kBilinear);
    const auto rgb = cut(resized, crop, picture.mirror);
    jitter_colors(rgb,
                  {picture.brightness,
                   picture.contrast,
                   picture.saturation,
                   picture.hue,
                   picture.contrast_first});
    const auto row = static_cast<int64_t>(i);
    paint_crop(rgb, statistics, out.images.select(0, row));
    const auto labels =
        cut(resize_labels(picture.labels, to), crop, picture.mirror);
    out.labels.select(0, row)
        .narrow(0, 0, crop.size.height)
        .narrow(1, 0, crop.size.width)
        .copy_(labels.masked_fill(labels.lt(0).logical_or(labels.ge(classes)),
                                  -1));
    picture = {};  // its pixels are not needed any more
  }
  return out;
}

}  // namespace declip

#include "declip/make_detector_batch.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "declip/error.h"
#include "declip/resize.h"

namespace declip {
namespace {

constexpr int64_t kLongestSquare = 16384;
constexpr double kLargestScale = 16;
constexpr float kLeastSide = 0.01F;  // of a box, in pixels of the square
constexpr int64_t kMaskGrain = 4;    // masks that are worth a thread

constexpr std::array<double, 3> kImageNetMean{123.675, 116.28, 103.53};
constexpr std::array<double, 3> kImageNetStd{58.395, 57.12, 57.375};

/// What a picture's pixels, boxes and masks are changed by.
struct Jitter {
  Size from;
  Size resized;
  int64_t left = 0, top = 0;
  Size size;  // of what is cut out
  bool mirror = false;
};

/// mmcv's _scale_size(): rounds half up.
int64_t scaled_side(int64_t length, double factor) {
  return std::max<int64_t>(
      static_cast<int64_t>(static_cast<double>(length) * factor + 0.5), 1);
}

Jitter jitter_of(const JitterPicture& picture, int64_t side) {
  Jitter out;
  out.from = {picture.pixels.size(0), picture.pixels.size(1)};
  const auto target =
      std::max<int64_t>(static_cast<int64_t>(side * picture.scale), 1);
  const double factor =
      static_cast<double>(target) /
      static_cast<double>(std::max(out.from.height, out.from.width));
  out.resized = {scaled_side(out.from.height, factor),
                 scaled_side(out.from.width, factor)};
  out.size = {std::min(out.resized.height, side),
              std::min(out.resized.width, side)};
  const auto place = [](double share, int64_t beyond) {
    return std::min(static_cast<int64_t>(share * (beyond + 1)), beyond);
  };
  out.left = place(picture.crop_x, out.resized.width - out.size.width);
  out.top = place(picture.crop_y, out.resized.height - out.size.height);
  out.mirror = picture.mirror;
  return out;
}

/// Into float32 [3, S, S], which is 0 where the picture is not.
void paint_picture(const at::Tensor& rgb,
                   const Jitter& jitter,
                   const at::Tensor& out) {
  const auto resized = resize_linear_u8(rgb, jitter.resized);
  const auto* source = resized.const_data_ptr<uint8_t>();
  auto* target = out.mutable_data_ptr<float>();
  const auto side = out.size(1);
  for (int64_t c = 0; c < 3; ++c) {
    const auto mean = static_cast<float>(kImageNetMean[static_cast<size_t>(c)]);
    const auto inverse =
        static_cast<float>(1 / kImageNetStd[static_cast<size_t>(c)]);
    std::array<float, 256> table{};
    for (size_t value = 0; value < table.size(); ++value) {
      table[value] = (static_cast<float>(value) - mean) * inverse;
    }
    for (int64_t y = 0; y < jitter.size.height; ++y) {
      const auto* row =
          source + ((jitter.top + y) * jitter.resized.width + jitter.left) * 3 +
          c;
      auto* line = target + (c * side + y) * side;
      for (int64_t x = 0; x < jitter.size.width; ++x) {
        const int64_t at = jitter.mirror ? jitter.size.width - 1 - x : x;
        line[at] = table[row[3 * x]];
      }
    }
  }
}

/// OpenCV's INTER_NEAREST: the source pixel of each of `count` places of a side
/// of n pixels resized to m, from `first` on.
std::vector<int64_t> nearest_pixels(
    int64_t n, int64_t m, int64_t first, int64_t count, bool mirror) {
  const double scale = 1.0 / (static_cast<double>(m) / static_cast<double>(n));
  std::vector<int64_t> out(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<int64_t>(
        std::floor(static_cast<double>(first + i) * scale));
    const int64_t place = mirror ? count - 1 - i : i;
    out[static_cast<size_t>(place)] = std::min(at, n - 1);
  }
  return out;
}

/// The masks in the square, and the smallest boxes around what is left of them
/// (zeros where nothing is).
at::Tensor jitter_masks(const at::Tensor& masks,
                        const std::vector<int32_t>& which,
                        const Jitter& jitter,
                        int64_t side,
                        at::Tensor& boxes) {
  const auto count = static_cast<int64_t>(which.size());
  const auto source = masks.contiguous();
  auto out = at::zeros({count, side, side}, at::kByte);
  boxes = at::zeros({count, 4}, at::kFloat);
  const auto rows = nearest_pixels(jitter.from.height,
                                   jitter.resized.height,
                                   jitter.top,
                                   jitter.size.height,
                                   false);
  const auto columns = nearest_pixels(jitter.from.width,
                                      jitter.resized.width,
                                      jitter.left,
                                      jitter.size.width,
                                      jitter.mirror);
  at::parallel_for(0, count, kMaskGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto* mask = source.const_data_ptr<uint8_t>() +
                         which[static_cast<size_t>(i)] * jitter.from.height *
                             jitter.from.width;
      auto* target = out.mutable_data_ptr<uint8_t>() + i * side * side;
      int64_t left = side, top = side, right = -1, bottom = -1;
      for (int64_t y = 0; y < jitter.size.height; ++y) {
        const auto* row =
            mask + rows[static_cast<size_t>(y)] * jitter.from.width;
        for (int64_t x = 0; x < jitter.size.width; ++x) {
          if (row[columns[static_cast<size_t>(x)]] == 0) continue;
          target[y * side + x] = 1;
          left = std::min(left, x);
          right = std::max(right, x);
          top = std::min(top, y);
          bottom = y;
        }
      }
      if (right < 0) continue;
      auto* box = boxes.mutable_data_ptr<float>() + 4 * i;
      box[0] = static_cast<float>(left);
      box[1] = static_cast<float>(top);
      box[2] = static_cast<float>(right + 1);
      box[3] = static_cast<float>(std::max(bottom, top) + 1);
    }
  });
  return out;
}

/// Boxes in the square before it is mirrored, in float32 as mmdetection has
/// them: scaled, cut to the picture, moved and cut to the crop.
at::Tensor jitter_boxes(const std::vector<PixelBox>& boxes,
                        const Jitter& jitter) {
  auto out = at::empty({static_cast<int64_t>(boxes.size()), 4}, at::kFloat);
  auto* target = out.mutable_data_ptr<float>();
  const auto axis = [](double value,
                       int64_t from,
                       int64_t resized,
                       int64_t first,
                       int64_t size) {
    const auto scale = static_cast<float>(static_cast<double>(resized) /
                                          static_cast<double>(from));
    const float scaled = std::clamp(
        static_cast<float>(value) * scale, 0.0F, static_cast<float>(resized));
    return std::clamp(
        scaled - static_cast<float>(first), 0.0F, static_cast<float>(size));
  };
  const auto x = [&](double value) {
    return axis(value,
                jitter.from.width,
                jitter.resized.width,
                jitter.left,
                jitter.size.width);
  };
  const auto y = [&](double value) {
    return axis(value,
                jitter.from.height,
                jitter.resized.height,
                jitter.top,
                jitter.size.height);
  };
  for (const auto& box : boxes) {
    *target++ = x(box.x1);
    *target++ = y(box.y1);
    *target++ = x(box.x2);
    *target++ = y(box.y2);
  }
  return out;
}

JitteredPicture jitter_objects(const JitterPicture& picture,
                               const Jitter& jitter,
                               int64_t side) {
  JitteredPicture out;
  out.size = jitter.size;
  auto boxes = jitter_boxes(picture.boxes, jitter);
  const auto larger = [](const at::Tensor& list, float least) {
    std::vector<int32_t> which;
    const auto* at = list.const_data_ptr<float>();
    for (int32_t i = 0; i < list.size(0); ++i, at += 4) {
      if (at[2] - at[0] > least && at[3] - at[1] > least) which.push_back(i);
    }
    return which;
  };
  const auto rows = [](const std::vector<int32_t>& which) {
    return at::tensor(std::vector<int64_t>(which.begin(), which.end()),
                      at::kLong);
  };
  out.kept = larger(boxes, picture.masks.defined() ? 0.0F : kLeastSide);
  boxes = boxes.index_select(0, rows(out.kept));
  if (picture.masks.defined()) {
    auto masks = jitter_masks(picture.masks, out.kept, jitter, side, boxes);
    const auto seen = larger(boxes, kLeastSide);
    std::vector<int32_t> kept;
    kept.reserve(seen.size());
    for (const auto i : seen) kept.push_back(out.kept[static_cast<size_t>(i)]);
    out.kept = std::move(kept);
    out.masks = masks.index_select(0, rows(seen));
    out.boxes = boxes.index_select(0, rows(seen));
    return out;
  }
  if (jitter.mirror) {
    const auto width = static_cast<float>(jitter.size.width);
    boxes = at::stack({width - boxes.select(1, 2),
                       boxes.select(1, 1),
                       width - boxes.select(1, 0),
                       boxes.select(1, 3)},
                      1);
  }
  out.boxes = boxes.contiguous();
  return out;
}

void check_jitter(const JitterPicture& picture, size_t at) {
  const auto refuse = [at](const auto&... why) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("pictures[", at, "]: ", why...));
  };
  const auto is_share = [](double x) { return x >= 0 && x < 1; };
  if (!(picture.scale > 0 && picture.scale <= kLargestScale)) {
    refuse("scale must be above 0 and at most ",
           kLargestScale,
           ", received ",
           picture.scale,
           ".");
  }
  if (!is_share(picture.crop_x) || !is_share(picture.crop_y)) {
    refuse("cropX and cropY must be 0 to below 1, received ",
           picture.crop_x,
           " and ",
           picture.crop_y,
           ".");
  }
  if (!picture.masks.defined()) return;
  const auto& masks = picture.masks;
  if (!masks.is_cpu() || masks.scalar_type() != at::kByte || masks.dim() != 3 ||
      masks.size(0) != static_cast<int64_t>(picture.boxes.size()) ||
      masks.size(1) != picture.pixels.size(0) ||
      masks.size(2) != picture.pixels.size(1)) {
    refuse("masks must be uint8 [",
           picture.boxes.size(),
           ", ",
           picture.pixels.size(0),
           ", ",
           picture.pixels.size(1),
           "], received ",
           masks.scalar_type(),
           " ",
           masks.sizes(),
           ".");
  }
}

}  // namespace

DetectorPictures make_detector_batch(std::vector<JitterPicture> pictures,
                                     int64_t side,
                                     const Call& call) {
  if (pictures.empty()) {
    throw Error(ErrorCode::kInvalidArg, "A batch needs at least one picture.");
  }
  if (side < 1 || side > kLongestSquare) {
    throw Error(
        ErrorCode::kInvalidArg,
        c10::str("side must be 1..", kLongestSquare, ", received ", side, "."));
  }
  DetectorPictures out;
  out.images = at::zeros({static_cast<int64_t>(pictures.size()), 3, side, side},
                         at::kFloat);
  for (size_t i = 0; i < pictures.size(); ++i) {
    call.check();
    auto& picture = pictures[i];
    if (!picture.pixels.defined()) {
      throw Error(ErrorCode::kInvalidArg,
                  "A picture of a batch has no pixels.");
    }
    picture.pixels = rgb_pixels(picture.pixels);
    check_jitter(picture, i);
    const auto jitter = jitter_of(picture, side);
    paint_picture(
        picture.pixels, jitter, out.images.select(0, static_cast<int64_t>(i)));
    out.samples.push_back(jitter_objects(picture, jitter, side));
  }
  return out;
}

at::Tensor join_maps(const std::vector<at::Tensor>& maps, at::ScalarType type) {
  if (maps.empty()) {
    throw Error(ErrorCode::kInvalidArg, "There are no maps to be joined.");
  }
  for (const auto& map : maps) {
    if (map.dim() == 4 && map.sizes().slice(1) == maps[0].sizes().slice(1) &&
        map.device() == maps[0].device()) {
      continue;
    }
    throw Error(ErrorCode::kInvalidArg,
                c10::str("Maps that are joined must have one shape [n, C, h, "
                         "w], received ",
                         maps[0].sizes(),
                         " and ",
                         map.sizes(),
                         "."));
  }
  const auto joined = maps.size() == 1 ? maps[0] : at::cat(maps);
  return joined.to(type).contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace declip

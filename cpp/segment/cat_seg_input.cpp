#include "segment/cat_seg_input.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <vector>

#include "declip/error.h"

namespace declip {
namespace {

constexpr int64_t kCatSegMultiple = 32;  // detectron2's size_divisibility
constexpr int64_t kLargestCatSegSide = 16384;

void check_cat_seg_side(const char* name,
                        int64_t value,
                        int64_t least,
                        int64_t most) {
  if (value >= least && value <= most) return;
  throw Error(ErrorCode::kInvalidArg,
              std::string("catSeg.") + name + " must be " +
                  std::to_string(least) + " to " + std::to_string(most) +
                  " pixels, received " + std::to_string(value) + ".");
}

/// align_corners=False, no antialias: as torch.nn.functional.interpolate.
at::Tensor bilinear(const at::Tensor& x, int64_t height, int64_t width) {
  if (x.size(2) == height && x.size(3) == width) return x;
  return at::upsample_bilinear2d(x, {height, width}, /*align_corners=*/false);
}

at::Tensor three_numbers(const std::array<double, 3>& unit,
                         const at::Tensor& like) {
  auto out = at::empty({1, 3, 1, 1}, at::kFloat);
  for (size_t c = 0; c < 3; ++c) {
    out[0][static_cast<int64_t>(c)].fill_(unit[c] * 255.0);
  }
  return out.to(like.device());
}

}  // namespace

CatSegGeometry cat_seg_geometry(const CatSegConfig& config,
                                const CatSegOptions& options,
                                int64_t patch) {
  CatSegGeometry out;
  out.sliding = options.sliding;
  out.side = options.side.value_or(config.side);
  check_cat_seg_side("side", out.side, 1, kLargestCatSegSide);
  if (patch > 0 && out.side % patch != 0) {
    throw Error(ErrorCode::kInvalidArg,
                "catSeg.side must be a multiple of the model's patches of " +
                    std::to_string(patch) + " pixels, received " +
                    std::to_string(out.side) + ".");
  }
  if (!out.sliding) return out;
  const int64_t canvas = options.canvas.value_or(config.canvas);
  check_cat_seg_side("canvas", canvas, 1, kLargestCatSegSide);
  out.cut = options.cut.value_or(config.cut);
  check_cat_seg_side("cut", out.cut, 1, canvas);
  const int64_t stride = options.stride.value_or(config.stride);
  check_cat_seg_side("stride", stride, 1, out.cut);
  out.canvas = plan_windows(canvas, canvas, out.cut, stride);
  return out;
}

int64_t count_cat_seg_inputs(const CatSegOptions& options) {
  return cat_seg_geometry({}, options, 0).inputs();
}

Size cat_seg_size(Size picture,
                  int64_t short_side,
                  int64_t long_side,
                  bool enlarge) {
  check_size(picture, "The picture");
  if (short_side < 1 || long_side < 1) {
    throw Error(ErrorCode::kInvalidArg,
                "shortSide and longSide must be at least 1 pixel, received " +
                    std::to_string(short_side) + " and " +
                    std::to_string(long_side) + ".");
  }
  const auto shorter =
      static_cast<double>(std::min(picture.height, picture.width));
  const auto side = static_cast<double>(short_side);
  const double scale = side / shorter;
  double height = scale * static_cast<double>(picture.height);
  double width = scale * static_cast<double>(picture.width);
  (picture.height < picture.width ? height : width) = side;
  if (const double longer = std::max(height, width);
      longer > static_cast<double>(long_side)) {
    const double shrink = static_cast<double>(long_side) / longer;
    height *= shrink;
    width *= shrink;
  }
  const auto rounded = [](double x) {
    return std::max<int64_t>(static_cast<int64_t>(x + 0.5), 1);
  };
  const Size to{rounded(height), rounded(width)};
  if (!enlarge && (to.height >= picture.height || to.width >= picture.width)) {
    return picture;
  }
  check_size(to, "The resized picture");
  return to;
}

CatSegInput::CatSegInput(const at::Tensor& image,
                         const CatSegGeometry& geometry,
                         const CatSegPixels& pixels)
    : geometry_(geometry) {
  if (!pixels.normalised) {
    mean_ = three_numbers(pixels.unit.mean, image);
    std_ = three_numbers(pixels.unit.std, image);
  }
  if (geometry.sliding) {
    canvas_ = bilinear(image, geometry.canvas.height, geometry.canvas.width);
    whole_ = bilinear(image, geometry.cut, geometry.cut);
    return;
  }
  const auto up = [](int64_t extent) {
    return (extent + kCatSegMultiple - 1) / kCatSegMultiple * kCatSegMultiple;
  };
  const int64_t height = image.size(2), width = image.size(3);
  whole_ = at::constant_pad_nd(
      normal(image), {0, up(width) - width, 0, up(height) - height}, 0);
}

at::Tensor CatSegInput::normal(const at::Tensor& pixels) const {
  return mean_.defined() ? (pixels - mean_) / std_ : pixels;
}

at::Tensor CatSegInput::make(int64_t first, int64_t last) const {
  const int64_t side = geometry_.side;
  if (!geometry_.sliding) return bilinear(whole_, side, side).contiguous();
  std::vector<at::Tensor> parts;
  const int64_t windows = geometry_.canvas.size();
  if (first < windows) {
    parts.push_back(
        cut_windows(canvas_, geometry_.canvas, first, std::min(last, windows)));
  }
  if (last > windows) parts.push_back(whole_);
  const auto cut = parts.size() > 1 ? at::cat(parts) : parts.front();
  return bilinear(normal(cut), side, side).contiguous();
}

}  // namespace declip

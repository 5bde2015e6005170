#include "families/sam_prompts.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>
#include <string>

#include "declip/error.h"

namespace declip {
namespace {

/// LN2d of the authors' code: over the channels of a place.
constexpr double kPlaceEps = 1e-6;
constexpr double kPixelCentre = 0.5;

[[noreturn]] void refuse_prompts(const std::string& expected,
                                 const at::Tensor& got) {
  throw Error(ErrorCode::kInvalidArg,
              expected + ", received shape " + c10::str(got.sizes()) + ".");
}

/// From pixels of the picture to those of the square: both factors are of
/// rounded sizes. float64 [..., 2], x before y.
at::Tensor in_square(const at::Tensor& points, const SamImage& image) {
  const auto factor = [](int64_t to, int64_t from) {
    return static_cast<double>(to) / static_cast<double>(from);
  };
  const auto factors =
      at::tensor({factor(image.input.width, image.picture.width),
                  factor(image.input.height, image.picture.height)},
                 at::kDouble);
  return points * factors;
}

}  // namespace

SamPrompts::SamPrompts(const Scope& scope,
                       const MaskDecoderConfig& config,
                       const Numerics& numerics)
    : config_(config) {
  const auto vector = [&](const std::string& name) {
    return scope[name].reshape({-1});
  };
  directions_ = scope["directions"];
  outside_ = vector("point.0");
  inside_ = vector("point.1");
  upper_left_ = vector("point.2");
  lower_right_ = vector("point.3");
  no_point_ = vector("no_point");
  no_mask_ = vector("no_mask");

  // Convolutions of 2 x 2 places that do not overlap are products with the
  // four places beside each other.
  const auto first = scope["conv1.weight"];   // [c / 4, 1, 2, 2]
  const auto second = scope["conv2.weight"];  // [c, c / 4, 2, 2]
  conv1_ = Linear(first.flatten(1), scope["conv1.bias"], numerics);
  conv2_ = Linear(second.permute({0, 2, 3, 1}).flatten(1).contiguous(),
                  scope["conv2.bias"],
                  numerics);
  conv3_ =
      Linear(scope["conv3.weight"].flatten(1), scope["conv3.bias"], numerics);
  norm1_ = LayerNorm(scope / "norm1", kPlaceEps, numerics);
  norm2_ = LayerNorm(scope / "norm2", kPlaceEps, numerics);

  const int64_t g = config.grid;
  const auto centres =
      (at::arange(g, directions_.options()) + kPixelCentre) *
      (static_cast<double>(config.side) / static_cast<double>(g));
  grid_codes_ = codes(at::stack({centres.unsqueeze(0).expand({g, g}),
                                 centres.unsqueeze(1).expand({g, g})},
                                2))
                    .flatten(0, 1)
                    .contiguous();
}

at::Tensor SamPrompts::codes(const at::Tensor& points) const {
  const auto unit = points / static_cast<double>(config_.side);
  const auto phases =
      at::matmul(2 * unit.to(directions_.device(), at::kFloat) - 1,
                 directions_) *
      (2 * std::numbers::pi);
  return at::cat({phases.sin(), phases.cos()}, -1);
}

at::Tensor SamPrompts::sparse(const MaskPrompts& prompts,
                              const SamImage& image) const {
  const int64_t width = config_.embed_dim;
  const int64_t count = prompts.count();
  std::vector<at::Tensor> tokens;
  if (prompts.points.defined()) {
    const auto codes_of =
        codes(in_square(prompts.points, image).to(at::kFloat) + kPixelCentre);
    const auto labels = prompts.labels.to(codes_of.device()).unsqueeze(-1);
    // A point that is none has no position either.
    auto made = at::where(labels == -1, no_point_, codes_of);
    made = at::where(labels == 0, made + outside_, made);
    made = at::where(labels == 1, made + inside_, made);
    tokens.push_back(made);
    if (!prompts.boxes.defined()) {
      tokens.push_back(no_point_.expand({count, 1, width}));
    }
  }
  if (prompts.boxes.defined()) {
    const auto corners =
        in_square(prompts.boxes.reshape({count, 2, 2}), image).to(at::kFloat);
    tokens.push_back(codes(corners + kPixelCentre) +
                     at::stack({upper_left_, lower_right_}));
  }
  if (tokens.empty()) {
    return at::empty({count, 0, width}, directions_.options());
  }
  return at::cat(tokens, 1);
}

at::Tensor SamPrompts::dense(const at::Tensor& masks) const {
  const int64_t count = masks.size(0), g = config_.grid;
  // [B, places, 4 places of half their side, 4 values]
  const auto values = masks.reshape({count, g, 2, 2, g, 2, 2})
                          .permute({0, 1, 4, 2, 5, 3, 6})
                          .reshape({count, g * g, 4, 4});
  const auto halves = at::gelu(norm1_(conv1_(values)));
  return conv3_(at::gelu(norm2_(conv2_(halves.flatten(2)))));
}

void SamPrompts::check(const MaskPrompts& prompts) const {
  const int64_t count = prompts.count(), side = 4 * config_.grid;
  if (prompts.points.defined()) {
    const auto& points = prompts.points;
    if (points.dim() != 3 || points.size(2) != 2 || points.size(1) < 1) {
      refuse_prompts("points must be [prompts, points, 2]", points);
    }
    if (!prompts.labels.defined() ||
        prompts.labels.sizes() != points.sizes().slice(0, 2)) {
      refuse_prompts("every point must have a label; points",
                     prompts.labels.defined() ? prompts.labels : points);
    }
    if (!points.isfinite().all().item<bool>()) {
      throw Error(ErrorCode::kInvalidArg,
                  "points must be finite numbers, in pixels of the picture.");
    }
  }
  if (prompts.boxes.defined()) {
    if (prompts.boxes.dim() != 2 || prompts.boxes.size(0) != count ||
        prompts.boxes.size(1) != 4) {
      refuse_prompts("boxes must be [" + std::to_string(count) + ", 4]",
                     prompts.boxes);
    }
    if (!prompts.boxes.isfinite().all().item<bool>()) {
      throw Error(ErrorCode::kInvalidArg,
                  "boxes must be finite numbers, in pixels of the picture.");
    }
  }
  if (prompts.masks.defined()) {
    const auto& masks = prompts.masks;
    if (masks.sizes() != at::IntArrayRef({count, 1, side, side}) ||
        masks.scalar_type() != at::kFloat) {
      refuse_prompts("maskInput must be float32 [" + std::to_string(count) +
                         ", 1, " + std::to_string(side) + ", " +
                         std::to_string(side) +
                         "], logits as lowRes of an earlier answer",
                     masks);
    }
    if (!masks.isfinite().all().item<bool>()) {
      throw Error(ErrorCode::kInvalidArg,
                  "maskInput must be finite numbers, logits as lowRes of an "
                  "earlier answer.");
    }
  }
}

}  // namespace declip

#include "segment/aggregate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "declip/error.h"
#include "kernels/self_similarity.h"

namespace declip {
namespace {

int64_t multiple_above(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

[[noreturn]] void refuse_cells(const EncodeOptions& options, int64_t cell) {
  const auto cells = [&](int64_t pixels) {
    const auto rounded = std::max<int64_t>(1, (pixels + cell / 2) / cell);
    return std::to_string(rounded * cell);
  };
  const int64_t unit = std::lcm(std::max<int64_t>(options.pad_to, 1), cell);
  throw Error(ErrorCode::kInvalidArg,
              "aggregate joins windows on one grid, so window and stride must "
              "be whole cells of it, here " +
                  std::to_string(cell) +
                  " pixels, and windows need no padding "
                  "(padTo " +
                  std::to_string(options.pad_to) + "); received window " +
                  std::to_string(options.window) + " and stride " +
                  std::to_string(options.stride) + ". Pass window " +
                  std::to_string(multiple_above(options.window, unit)) +
                  " and stride " + cells(options.stride) +
                  ", or window 0 for one pass over the whole picture.");
}

/// Pixels along a side of a cell, 0 where they are no whole number.
int64_t cell_of(int64_t pixels, int64_t cells) {
  return pixels % cells == 0 ? pixels / cells : 0;
}

}  // namespace

bool aggregates(const EncodeOptions& options) {
  return options.aggregate_gain != 0;
}

Size aggregate_size(Size picture, const EncodeOptions& options) {
  const int64_t unit = options.stride, window = options.window;
  if (!aggregates(options) || window <= 0 || unit < 1) return picture;
  if (picture.height % unit != 0 || picture.width % unit != 0) {
    const int64_t longer = std::max(picture.height, picture.width);
    const int64_t wanted = multiple_above(longer, unit);
    // Truncated before it is rounded up, as in the authors' code.
    const auto side = [&](int64_t length) {
      return multiple_above(length * wanted / longer, unit);
    };
    picture = {side(picture.height), side(picture.width)};
  }
  return {std::max(picture.height, window), std::max(picture.width, window)};
}

at::Tensor resize_to_aggregate(const at::Tensor& image,
                               const EncodeOptions& options) {
  const Size from{image.size(2), image.size(3)};
  const Size to = aggregate_size(from, options);
  if (to == from) return image;
  return at::upsample_bilinear2d(
      image, {to.height, to.width}, /*align_corners=*/false);
}

void check_cells(const WindowPlan& plan,
                 const EncodeOptions& options,
                 int64_t cell) {
  if (options.window == 0) return;
  const auto whole = [&](const std::vector<int64_t>& starts) {
    return std::all_of(starts.begin(), starts.end(), [&](int64_t start) {
      return start % cell == 0;
    });
  };
  if (plan.window_height % cell != 0 || plan.window_width % cell != 0 ||
      plan.padding != Padding{} || !whole(plan.tops) || !whole(plan.lefts)) {
    refuse_cells(options, cell);
  }
}

at::Tensor join_windows(const at::Tensor& features, const WindowPlan& plan) {
  const int64_t h = features.size(2), w = features.size(3);
  const int64_t cell_h = plan.window_height / h, cell_w = plan.window_width / w;
  const int64_t rows = plan.height / cell_h, columns = plan.width / cell_w;
  auto sum = at::zeros({features.size(1), rows, columns}, features.options());
  auto count = at::zeros({rows, columns}, features.options());
  const auto part_of = [&](const at::Tensor& map, const Window& window) {
    return map.narrow(-2, window.y1 / cell_h, h)
        .narrow(-1, window.x1 / cell_w, w);
  };
  for (int64_t i = 0; i < plan.size(); ++i) {
    part_of(sum, plan[i]).add_(features[i]);
    part_of(count, plan[i]).add_(1);
  }
  return sum.div_(count);
}

at::Tensor aggregate_map(const at::Tensor& map, double gain, const Call& call) {
  const auto rows = map.flatten(1).transpose(0, 1);
  return attend_to_alike(rows, gain, call).transpose(0, 1).reshape(map.sizes());
}

at::Tensor aggregate_windows(const at::Tensor& features,
                             WindowPlan& plan,
                             const EncodeOptions& options,
                             const Call& call) {
  auto map = features[0];
  if (options.window != 0) {
    // Features may lie on another grid than the tower's patches.
    const int64_t h = features.size(2), w = features.size(3);
    const int64_t cell = cell_of(plan.window_height, h);
    if (cell == 0 || cell != cell_of(plan.window_width, w)) {
      throw Error(
          ErrorCode::kInvalidArg,
          "aggregate joins windows on one grid, but this mode's features are " +
              std::to_string(h) + " x " + std::to_string(w) +
              " for a window of " + std::to_string(plan.window_height) + " x " +
              std::to_string(plan.window_width) +
              " pixels. Pass a window that is a multiple of both, or window 0 "
              "for one pass over the whole picture.");
    }
    check_cells(plan, options, cell);
    map = join_windows(features, plan);
    plan = plan_windows(plan.height, plan.width, 0, 1);
  }
  const auto out = aggregate_map(map, options.aggregate_gain, call);
  const auto norm = out.norm(2, {0}, /*keepdim=*/true).clamp_min(1e-12);
  return (out / norm).unsqueeze(0).contiguous();
}

}  // namespace declip

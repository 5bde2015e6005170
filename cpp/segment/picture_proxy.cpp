#include "segment/picture_proxy.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

namespace declip {
namespace {

/// A place between two others of a row, with half-pixel centres.
struct CellPlace {
  int64_t first, second;
  float weight;  // of the second
};

/// Place `i` of `out` in a row of `in`.
CellPlace between(int64_t i, int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double at = std::max(0.0, (static_cast<double>(i) + 0.5) * scale - 0.5);
  const auto first = std::min(static_cast<int64_t>(at), in - 1);
  return {first,
          std::min(first + 1, in - 1),
          static_cast<float>(at - static_cast<double>(first))};
}

/// One side of a window: the pixels that its cells lie between.
struct Side {
  at::Tensor pixels;   // [2 * cells, patches], weights of the features
  at::Tensor weights;  // [2 * cells], of these pixels in their cell
};

/// cells      of the window, its padding included
/// patches    of the whole picture
/// start      of the window in the picture, in pixels
Side side_of(int64_t cells,
             int64_t patches,
             int64_t picture,
             int64_t start,
             int64_t window,
             int64_t before,
             int64_t padded) {
  Side side{at::zeros({2 * cells, patches}, at::kFloat),
            at::empty({2 * cells}, at::kFloat)};
  float* rows = side.pixels.mutable_data_ptr<float>();
  float* weights = side.weights.mutable_data_ptr<float>();
  for (int64_t i = 0; i < cells; ++i) {
    const auto cell = between(i, padded, cells);
    for (const bool second : {false, true}) {
      const int64_t pixel =
          start +
          std::clamp<int64_t>(
              (second ? cell.second : cell.first) - before, 0, window - 1);
      const auto of = between(pixel, patches, picture);
      rows[of.first] += 1.0f - of.weight;
      rows[of.second] += of.weight;
      rows += patches;
      *weights++ = second ? cell.weight : 1.0f - cell.weight;
    }
  }
  return side;
}

at::Tensor unit(const at::Tensor& x) {
  return x / x.norm(2, {0}, true).clamp_min(1e-12);
}

}  // namespace

at::Tensor window_proxy(const at::Tensor& features,
                        const WindowPlan& plan,
                        int64_t first,
                        int64_t last,
                        Size grid) {
  const auto map = features.to(at::kFloat);
  std::vector<at::Tensor> out;
  for (int64_t i = first; i < last; ++i) {
    const Window window = plan[i];
    auto down = side_of(grid.height,
                        map.size(1),
                        plan.height,
                        window.y1,
                        plan.window_height,
                        plan.padding.top,
                        plan.padded_height());
    auto across = side_of(grid.width,
                          map.size(2),
                          plan.width,
                          window.x1,
                          plan.window_width,
                          plan.padding.left,
                          plan.padded_width());
    for (auto* side : {&down, &across}) {
      *side = {side->pixels.to(map.device()), side->weights.to(map.device())};
    }
    const auto pixels =
        unit(at::matmul(down.pixels, at::matmul(map, across.pixels.t())));
    const auto cells = (pixels * down.weights.unsqueeze(1) * across.weights)
                           .view({map.size(0), grid.height, 2, grid.width, 2})
                           .sum(at::IntArrayRef{2, 4});
    out.push_back(unit(cells));
  }
  return at::stack(out);
}

}  // namespace declip

#include "kernels/window_blend.h"

#include "declip/error.h"
#include "kernels/bilinear_math.h"

namespace declip {
namespace {

BlendAxis blend_axis(int64_t extent,
                     int64_t window,
                     const std::vector<int64_t>& starts,
                     int64_t padding,
                     int64_t padded,
                     int64_t grid) {
  BlendAxis axis;
  axis.extent = extent;
  axis.grid = grid;
  axis.starts = starts;
  for (int64_t i = 0; i < window; ++i) {
    const BilinearTap tap = bilinear_tap(i + padding, grid, padded);
    axis.first.push_back(static_cast<int32_t>(tap.first));
    axis.second.push_back(static_cast<int32_t>(tap.second));
    axis.weight.push_back(tap.weight);
  }
  // Starts ascend and windows are equally long, so those over one pixel are
  // neighbours in the list.
  const auto windows = static_cast<int32_t>(starts.size());
  int32_t begin = 0;
  int32_t end = 0;
  for (int64_t i = 0; i < extent; ++i) {
    while (end < windows && starts[end] <= i) ++end;
    while (begin < end && starts[begin] + window <= i) ++begin;
    axis.cover_begin.push_back(begin);
    axis.cover_end.push_back(end);
  }
  return axis;
}

}  // namespace

WindowBlend::WindowBlend(const WindowPlan& plan,
                         int64_t grid_height,
                         int64_t grid_width) {
  if (grid_height < 1 || grid_width < 1) {
    throw Error(ErrorCode::kInvalidArg,
                "the patch grid of a window must be at least 1 x 1.");
  }
  rows_ = blend_axis(plan.height,
                     plan.window_height,
                     plan.tops,
                     plan.padding.top,
                     plan.padded_height(),
                     grid_height);
  columns_ = blend_axis(plan.width,
                        plan.window_width,
                        plan.lefts,
                        plan.padding.left,
                        plan.padded_width(),
                        grid_width);
}

void WindowBlend::plane(const float* low,
                        int64_t window_step,
                        float* out) const {
  cpu::window_blend(rows_, columns_, low, window_step, out);
}

}  // namespace declip

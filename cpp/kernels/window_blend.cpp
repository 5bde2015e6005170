#include "kernels/window_blend.h"

#include <ATen/ATen.h>

#include <vector>

#include "declip/error.h"
#include "kernels/bilinear_math.h"
#include "kernels/cuda/on_device.h"

namespace declip {
namespace {

template <class Axis>
BlendAxisArgs args_of(const Axis& axis) {
  return {axis.extent,
          axis.grid,
          axis.starts.size(0),
          axis.first.size(0),
          axis.starts.template const_data_ptr<int32_t>(),
          axis.first.template const_data_ptr<int32_t>(),
          axis.second.template const_data_ptr<int32_t>(),
          axis.weight.template const_data_ptr<float>(),
          axis.cover_begin.template const_data_ptr<int32_t>(),
          axis.cover_end.template const_data_ptr<int32_t>()};
}

}  // namespace

WindowBlend::Axis WindowBlend::blend_axis(int64_t extent,
                                          int64_t window,
                                          const std::vector<int64_t>& starts,
                                          int64_t padding,
                                          int64_t padded,
                                          int64_t grid,
                                          at::Device device) {
  std::vector<int32_t> first, second, cover_begin, cover_end;
  std::vector<float> weight;
  for (int64_t i = 0; i < window; ++i) {
    const BilinearTap tap = bilinear_tap(i + padding, grid, padded);
    first.push_back(static_cast<int32_t>(tap.first));
    second.push_back(static_cast<int32_t>(tap.second));
    weight.push_back(tap.weight);
  }
  // Starts ascend and windows are equally long, so those over one pixel are
  // neighbours in the list.
  const auto windows = static_cast<int32_t>(starts.size());
  int32_t begin = 0;
  int32_t end = 0;
  for (int64_t i = 0; i < extent; ++i) {
    while (end < windows && starts[end] <= i) ++end;
    while (begin < end && starts[begin] + window <= i) ++begin;
    cover_begin.push_back(begin);
    cover_end.push_back(end);
  }
  return {
      extent,
      grid,
      at::tensor(std::vector<int32_t>(starts.begin(), starts.end())).to(device),
      at::tensor(first).to(device),
      at::tensor(second).to(device),
      at::tensor(cover_begin).to(device),
      at::tensor(cover_end).to(device),
      at::tensor(weight).to(device)};
}

WindowBlend::WindowBlend(const WindowPlan& plan,
                         int64_t grid_height,
                         int64_t grid_width,
                         at::Device device) {
  if (grid_height < 1 || grid_width < 1) {
    throw Error(ErrorCode::kInvalidArg,
                "the patch grid of a window must be at least 1 x 1.");
  }
  rows_ = blend_axis(plan.height,
                     plan.window_height,
                     plan.tops,
                     plan.padding.top,
                     plan.padded_height(),
                     grid_height,
                     device);
  columns_ = blend_axis(plan.width,
                        plan.window_width,
                        plan.lefts,
                        plan.padding.left,
                        plan.padded_width(),
                        grid_width,
                        device);
}

BlendArgs WindowBlend::args(const at::Tensor& low,
                            RowRange rows,
                            const at::Tensor& out) const {
  const int64_t windows = rows_.starts.size(0) * columns_.starts.size(0);
  if (low.dim() != 3 || low.size(0) != windows || low.size(1) != rows_.grid ||
      low.size(2) != columns_.grid || low.scalar_type() != at::kFloat ||
      !low[0].is_contiguous() || out.dim() != 2 || rows.begin < 0 ||
      rows.end > rows_.extent || out.size(0) != rows.size() ||
      out.size(1) != columns_.extent || out.scalar_type() != at::kFloat ||
      !out.is_contiguous() || low.device() != rows_.starts.device() ||
      out.device() != low.device()) {
    throw Error(ErrorCode::kInternal,
                "WindowBlend: the maps or the plane do not fit the plan.");
  }
  return {args_of(rows_),
          args_of(columns_),
          low.const_data_ptr<float>(),
          low.stride(0),
          out.mutable_data_ptr<float>(),
          rows.begin,
          rows.end};
}

void WindowBlend::rows(const at::Tensor& low,
                       RowRange rows,
                       const at::Tensor& out) const {
  DECLIP_RUN_TWIN(low, window_blend, args(low, rows, out));
}

}  // namespace declip

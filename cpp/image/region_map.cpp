#include "image/region_map.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace declip {
namespace {

/// Where places first..first + count of a side `out` long come from on one of
/// `in`.
at::Tensor nearest(int64_t in, int64_t out, int64_t first, int64_t count) {
  auto places = at::empty({count}, at::kLong);
  auto* data = places.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < count; ++i) data[i] = (first + i) * in / out;
  return places;
}

at::Tensor take(const at::Tensor& map,
                const at::Tensor& rows,
                const at::Tensor& columns) {
  return map.index_select(0, rows.to(map.device()))
      .index_select(1, columns.to(map.device()));
}

}  // namespace

at::Tensor resize_regions(const at::Tensor& regions, Size to) {
  return take(regions,
              nearest(regions.size(0), to.height, 0, to.height),
              nearest(regions.size(1), to.width, 0, to.width));
}

at::Tensor cut_regions(const at::Tensor& regions,
                       const WindowPlan& plan,
                       int64_t first,
                       int64_t last) {
  const auto map = regions.to(at::kCPU, at::kInt);
  const int64_t largest = map.max().item<int64_t>();
  auto out = at::full({last - first, plan.padded_height(), plan.padded_width()},
                      std::max(kBorderRegion, largest + 1),
                      map.options());
  auto inner = out.narrow(1, plan.padding.top, plan.window_height)
                   .narrow(2, plan.padding.left, plan.window_width);
  for (int64_t i = first; i < last; ++i) {
    const Window window = plan[i];
    inner[i - first].copy_(
        take(map,
             nearest(map.size(0), plan.height, window.y1, plan.window_height),
             nearest(map.size(1), plan.width, window.x1, plan.window_width)));
  }
  return out;
}

}  // namespace declip

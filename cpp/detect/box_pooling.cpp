#include <ATen/ATen.h>

#include <algorithm>

#include "declip/error.h"
#include "detect/boxes.h"
#include "kernels/roi_align.h"

namespace declip {
namespace {

constexpr double kFinestSide = 56;  // pixels, of boxes of level 0

}  // namespace

// Operations in the order of mmdetection's map_roi_levels(), for its float32.
at::Tensor roi_levels(const at::Tensor& boxes, int64_t levels) {
  const auto sides = boxes.slice(1, 2, 4) - boxes.slice(1, 0, 2);
  const auto side = (sides.select(1, 0) * sides.select(1, 1)).sqrt();
  return (side / kFinestSide + 1e-6)
      .log2()
      .floor()
      .nan_to_num(0)
      .clamp(0, static_cast<double>(levels - 1))
      .to(at::kLong);
}

at::Tensor pool_boxes_of_levels(const std::vector<at::Tensor>& maps,
                                const std::vector<double>& strides,
                                const at::Tensor& boxes,
                                const at::Tensor& pictures,
                                int64_t out) {
  if (maps.empty() || maps.size() != strides.size()) {
    throw Error(ErrorCode::kInternal, "Every level has a map and a stride.");
  }
  const auto levels = roi_levels(boxes, static_cast<int64_t>(maps.size()));
  std::vector<at::Tensor> pooled, places;
  for (size_t level = 0; level < maps.size(); ++level) {
    const auto chosen =
        levels.eq(static_cast<int64_t>(level)).nonzero().squeeze(1);
    const double scale = static_cast<float>(1.0 / strides[level]);
    places.push_back(chosen);
    pooled.push_back(
        roi_align(maps[level],
                  boxes.index_select(0, chosen),
                  pictures.to(boxes.device()).index_select(0, chosen),
                  scale,
                  scale,
                  out,
                  out));
  }
  return at::cat(pooled)
      .index_select(0, at::argsort(at::cat(places)).to(maps[0].device()))
      .contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace declip

#include <ATen/ATen.h>

#include "declip/error.h"
#include "detect/boxes.h"
#include "kernels/roi_align_levels.h"

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
  if (maps.size() != strides.size()) {
    throw Error(ErrorCode::kInternal, "Every level has a map and a stride.");
  }
  std::vector<RoiMap> levels;
  for (size_t level = 0; level < maps.size(); ++level) {
    levels.push_back({maps[level], 1 / strides[level], 1 / strides[level]});
  }
  return roi_align_levels(levels,
                          boxes,
                          roi_levels(boxes, static_cast<int64_t>(maps.size())),
                          pictures,
                          out,
                          out);
}

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace declip {

/// Which true box a box is held to be, by intersection over union
/// (mmdetection's MaxIoUAssigner).
struct AssignRule {
  double positive = 0.5;  // IoU from which on a box has its best true box
  double negative = 0.5;  // below it, it is background
  /// Boxes that reach the best IoU of a true box, if that is `least` or more,
  /// have it whatever else they overlap; the last such true box wins.
  bool low_quality = false;
  double least = 0;
};

/// boxes [N, 4] and truth [G, 4], xyxy, float32 on the CPU. Of every box: 0 for
/// background, -1 for neither, else 1 + the row of its true box; of several
/// equally good ones the first. The IoU is computed in float32, its divisor no
/// less than 1e-6.
std::vector<int64_t> assign_boxes(const at::Tensor& boxes,
                                  const at::Tensor& truth,
                                  const AssignRule& rule);

}  // namespace declip

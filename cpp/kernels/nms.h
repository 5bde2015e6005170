#pragma once

#include <ATen/core/Tensor.h>

namespace declip {

/// Greedy non-maximum suppression: boxes in the order of falling scores, those
/// of equal scores in the order in which they came; each that is kept removes
/// the later ones of its class that it overlaps by more than `threshold`.
/// The overlap is intersection over union, and everything is float32, as in
/// torchvision's `nms`: areas are (x2 - x1)(y2 - y1), 0/0 removes nothing, and
/// the float32 overlap is compared with the threshold in double precision.
///
/// boxes      float32 [K, 4], x1, y1, x2, y2 in any unit, on any device
/// scores     floating point [K]
/// threshold  0..1
/// classes    int64 [K]; undefined: all are of one
/// Returns the kept ones, int64, in the order of falling scores, on the device
/// of the boxes. Throws Error(kInvalidArg) for other shapes.
at::Tensor nms(const at::Tensor& boxes,
               const at::Tensor& scores,
               double threshold,
               const at::Tensor& classes = {});

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace declip {

/// From this many boxes on, those of different classes are not compared
/// (mmcv's `split_thr`).
inline constexpr int64_t kNmsApart = 10000;

/// Greedy non-maximum suppression: boxes in the order of falling scores, those
/// of equal scores in the order in which they came, NaN last; each that is kept
/// removes the later ones that it overlaps by more than `threshold`.
/// The overlap is intersection over union, and everything is float32, as in
/// torchvision's `nms`: areas are (x2 - x1)(y2 - y1), 0/0 removes nothing, and
/// the float32 overlap is compared with the threshold in double precision.
///
/// With classes it is the `batched_nms` of torchvision and mmcv: boxes are
/// moved by class * (largest coordinate of all + 1), in float32, which leaves
/// hardly any two of different classes an overlap. Two effects of that are
/// part of the result: far from 0 float32 has coarse steps, so that overlaps
/// near the threshold may fall differently; and boxes with negative
/// coordinates may reach into the class below. (Below kNmsApart boxes; from
/// there on each class is for itself, its boxes moved all the same.)
///
/// boxes      float32 [K, 4], x1, y1, x2, y2 in any unit, on any device
/// scores     floating point [K]; compared in float32
/// threshold  0..1
/// classes    int64 [K], at least 0; undefined: all are of one
/// limit      keep no more than this many; below 0: all
/// Returns the kept ones, int64, in the order of falling scores, on the device
/// of the boxes. Throws Error(kInvalidArg) for other shapes.
at::Tensor nms(const at::Tensor& boxes,
               const at::Tensor& scores,
               double threshold,
               const at::Tensor& classes = {},
               int64_t limit = -1);

}  // namespace declip

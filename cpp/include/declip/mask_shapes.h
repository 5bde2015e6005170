#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "declip/call.h"
#include "declip/rle.h"
#include "declip/size.h"

namespace declip {

/// The pixels inside of a closed line, exactly those that pycocotools fills
/// (cocoapi, common/maskApi.c, rleFrPoly): corners are rounded to a fifth of a
/// pixel, what lies outside of the picture is cut off.
///
/// corners  x and y of `count` points in pixels, at most 2^28 away from 0; the
///          last joins the first
Rle fill_polygon(const double* corners, int64_t count, Size size);

/// Masks that are not arrays of pixels, in flat lists.
struct MaskShapes {
  enum Kind : uint8_t { kCounts, kString, kRings };

  std::vector<uint8_t> kinds;
  std::vector<Size> sizes;
  /// Where each mask ends in the list of its kind.
  std::vector<uint32_t> ends;
  std::vector<uint32_t> counts;
  std::vector<std::string> strings;
  std::vector<double> corners;  // x, y, ...
  std::vector<uint32_t> ring_ends;
  /// 1: the ring is cut out of the last one before it that is none. What is
  /// left of all of a mask's rings is united.
  std::vector<uint8_t> holes;
};

/// The shapes as run lengths without empty runs but the first. Throws
/// Error(kInvalidArg), beginning with '#' and the shape's place, for one that
/// does not fit its picture.
std::vector<Rle> rle_of(const MaskShapes& shapes, const Call& call);

/// The same one after the other, in their order, so that they need not all
/// exist.
void each_rle(const MaskShapes& shapes,
              const Call& call,
              const std::function<void(const Rle&)>& take);

/// uint8 [K, H, W], 1 inside, of shapes that are all of one picture.
at::Tensor fill_masks(const MaskShapes& shapes, Size size, const Call& call);

/// The regions of a label picture.
struct LabelMasks {
  at::Tensor masks;             // uint8 [K, H, W]
  std::vector<int64_t> values;  // ascending
};

/// One mask for every value but the largest of the type, 255 or 65535: labels
/// [H, W] uint8 or uint16.
LabelMasks masks_of_labels(const at::Tensor& labels, const Call& call);

}  // namespace declip

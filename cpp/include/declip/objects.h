#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "declip/call.h"
#include "declip/polygons.h"

namespace declip {

struct ObjectOptions {
  bool corners = true;      // pixels that touch at a corner belong together
  int64_t min_area = 0;     // pixels
  int64_t background = -1;  // its class has no objects; -1: none
  int64_t limit = 0;        // most objects, the best ones; 0: all
  bool compressed = false;  // run lengths as strings
};

/// Polygons of objects in flat lists.
struct OutlineLists {
  std::vector<Corner> corners;
  std::vector<uint32_t> ring_ends;     // in corners
  std::vector<uint32_t> polygon_ends;  // in rings; the outer one comes first
  std::vector<uint32_t> object_ends;   // in polygons
};

/// Connected regions of the classes, best first: those of one score in the
/// order of their first pixels, row by row.
struct Objects {
  std::vector<int32_t> labels;
  /// Mean probability of the label over the pixels of which it is known, 0
  /// where it is known of none.
  std::vector<double> scores;
  std::vector<int32_t> areas;  // pixels
  std::vector<int32_t> boxes;  // x1, y1, x2, y2 of each
  /// Run lengths as Rle has them, or their compressed text; where each
  /// object's end in either.
  std::vector<uint32_t> counts;
  std::string text;
  std::vector<uint32_t> run_ends;
  /// Of every object, the regions that are joined at their sides. No ring
  /// touches itself.
  OutlineLists parts;
  /// Of objects with several parts, one polygon whose rings pass the corners
  /// where parts touch more than once; none of other objects.
  OutlineLists joined;
};

/// More objects than this are refused where there is no limit: each becomes a
/// JavaScript object.
inline constexpr int64_t kMostObjects = 1000000;

/// The objects of a label map, in a few passes whatever their number.
///
/// labels     uint8 or uint16 [H, W]; a label of `classes` or more has no
///            objects
/// certainty  uint8 [H, W] as Segmentation has it; undefined: not known
Objects find_objects(const at::Tensor& labels,
                     int64_t classes,
                     const at::Tensor& certainty,
                     const ObjectOptions& options,
                     const Call& call);

}  // namespace declip

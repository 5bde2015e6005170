#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/call.h"

namespace declip {

/// A corner in pixels: (0, 0) is the picture's top left corner, (W, H) its
/// bottom right one.
struct Corner {
  int32_t x = 0, y = 0;
  bool operator==(const Corner&) const = default;
};

/// A closed line; the last corner joins the first.
using Ring = std::vector<Corner>;

/// One connected region of a class (pixels joined at their sides), y pointing
/// down: the outer ring runs clockwise, holes the other way.
struct Polygon {
  Ring outer;
  std::vector<Ring> holes;
};

/// Outlines of the classes 0..C-1 along the sides of the pixels, in the order
/// of each region's first pixel: labels [H, W] uint8 or uint16. A label of C or
/// more has none.
///
/// tolerance  pixels by which Douglas-Peucker may move a line; 0: the exact
///            outline, which filled gives the mask again. Rings that shrink
///            below three corners are left out.
std::vector<std::vector<Polygon>> trace_polygons(const at::Tensor& labels,
                                                 int64_t classes,
                                                 double tolerance,
                                                 const Call& call);

}  // namespace declip

#pragma once

#include <cstdint>
#include <vector>

#include "declip/size.h"

namespace declip {

/// A part of a picture that SAM looks at on its own: columns x0..x1-1 and rows
/// y0..y1-1.
struct PictureCrop {
  int64_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  int64_t layer = 0;

  Size size() const { return {y1 - y0, x1 - x0}; }
};

/// The picture, then for layer l = 1.. a grid of 2^l by 2^l crops, column by
/// column, which overlap by `overlap` times the short side times 2 / 2^l.
/// Crops at the right and below end with the picture; those that would lie
/// behind its end, in pictures of a few pixels, are left out
/// (segment-anything, utils/amg.py, generate_crop_boxes).
std::vector<PictureCrop> crop_boxes(Size picture,
                                    int64_t layers,
                                    double overlap);

}  // namespace declip

#pragma once

#include <cstdint>
#include <utility>

#include "declip/rle.h"

namespace declip {

/// A mask without its small regions, of pixels that touch at sides or corners:
/// of the pixels outside those of fewer than `area` pixels are filled, then of
/// those inside they are removed. Where all inside are smaller, the largest
/// stays: of equals the one whose first 2 x 2 block of pixels comes first, row
/// by row, which is how OpenCV numbers them. Whether any was small, too
/// (segment-anything, utils/amg.py, remove_small_regions). Works on the runs:
/// cost and memory are theirs.
std::pair<Rle, bool> without_small_regions(const Rle& mask, int64_t area);

}  // namespace declip

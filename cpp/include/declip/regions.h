#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "declip/size.h"

namespace declip {

/// Pixels of a picture, x to the right, y down; corners may be fractions.
struct PixelBox {
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  bool operator==(const PixelBox&) const = default;
};

/// A box for the student, and what of the picture the teacher sees of it.
struct Region {
  PixelBox box;
  PixelBox crop;
  bool operator==(const Region&) const = default;
};

/// `scale` times as large about its centre, but within the picture.
PixelBox enlarged_box(const PixelBox& box, double scale, Size picture);

/// Rows and columns that a picture may be split into: m = 1..most rows and
/// between half and twice as many columns, at most `most`. 24 pairs for 6.
/// CLIPSelf, training/data, grid_distill.
std::vector<std::pair<int64_t, int64_t>> grid_splits(int64_t most);

struct GridOptions {
  int64_t most_splits = 6;
  int64_t most_boxes = 20;
  double crop_scale = 1.0;  // enlarges crops about their centre, not boxes
};

/// The cells of one of the splits, drawn uniformly, in random order and at most
/// `most_boxes` of them. The same seed gives the same ones; take another for
/// every picture and visit.
std::vector<Region> grid_regions(Size picture,
                                 const GridOptions& options,
                                 uint64_t seed);

struct ProposalOptions {
  int64_t most_boxes = 20;
  double least_side = 8;    // proposals of fewer than its square pixels, or
  double most_side = 1024;  // more than its square, are left out
  double crop_scale = 1.5;  // enlarges crops about their centre, not boxes
};

/// Of the first `most_boxes` proposals in random order those of a fitting size;
/// one that does not fit is not replaced. If none does, or there is none, the
/// left upper corner of a quarter of the picture's sides. CLIPSelf,
/// training/data, proposals_distill.
/// Throws Error(kInvalidArg) for a proposal that is no box.
std::vector<Region> proposal_regions(Size picture,
                                     const std::vector<PixelBox>& proposals,
                                     const ProposalOptions& options,
                                     uint64_t seed);

/// The part of a picture under `crop`, whose corners are rounded to whole
/// pixels (halves to even), fitted into a square by its long side (Pillow
/// bicubic), black borders around the middle, normalised with statistics on the
/// 0..1 scale. The student's whole picture is preprocess() with Fit::kPad.
///
/// rgb  [height, width, 3] bytes, row-major
/// Returns float32 [1, 3, side, side].
at::Tensor crop_region(const uint8_t* rgb,
                       Size picture,
                       const PixelBox& crop,
                       int64_t side,
                       const std::array<double, 3>& mean,
                       const std::array<double, 3>& std);

/// Boxes as TrainBatch takes them: float32 [rows, 5], shares of the square that
/// the picture is padded to, and a flag; rows without a region are zero.
/// Throws Error(kInvalidArg) if there are more regions than rows.
at::Tensor region_rows(Size picture,
                       const std::vector<Region>& regions,
                       int64_t rows);

}  // namespace declip

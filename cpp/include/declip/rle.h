#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "declip/call.h"
#include "declip/size.h"

namespace declip {

/// A mask in COCO's run-length encoding; names and results as in cocoapi,
/// common/maskApi.c.
struct Rle {
  Size size;
  /// Lengths of the runs of pixels outside and inside the mask in turn, down
  /// the columns, outside first (0 if the first pixel is inside). They sum up
  /// to height * width.
  std::vector<uint32_t> counts;
  bool operator==(const Rle&) const = default;
};

/// mask [H, W] bool or uint8, not 0 is inside.
Rle encode_rle(const at::Tensor& mask);

/// The masks of the classes 0..C-1 in one pass: labels [H, W] uint8 or uint16.
/// A label of C or more is in none of them.
std::vector<Rle> encode_rle(const at::Tensor& labels,
                            int64_t classes,
                            const Call& call);

/// Throws Error(kInvalidArg) if the counts do not sum up to the size.
void check_counts(const Rle& mask);

/// uint8 [H, W], 1 inside. Throws Error(kInvalidArg) if the counts do not sum
/// up to the size.
at::Tensor decode_rle(const Rle& mask);

/// The counts as pycocotools writes them into files: each, from the fourth on
/// minus the one two places before it, in groups of 5 bits from the lowest, bit
/// 5 set where another group follows, offset by 48 to printable characters.
std::string compress_counts(const std::vector<uint32_t>& counts);
/// The same behind what `text` holds.
void compress_counts(const uint32_t* counts, size_t length, std::string& text);

/// Throws Error(kInvalidArg) for a text that is not the counts of a mask of
/// this size.
Rle decompress_rle(const std::string& text, Size size);

/// Pixels inside.
int64_t rle_area(const Rle& mask);

/// x, y, width and height of the smallest box around it, in pixels; zeros for
/// an empty mask.
std::array<int64_t, 4> rle_box(const Rle& mask);

/// Pixels inside of both. Throws Error(kInvalidArg) for masks of two sizes, as
/// those below.
int64_t rle_overlap(const Rle& a, const Rle& b);

/// Overlap over union, 0..1; for a crowd region `b`, which may hold several
/// objects, overlap over the area of `a`. 0 for empty masks.
double rle_iou(const Rle& a, const Rle& b, bool crowd = false);

/// The pixels that are inside of any, or of all.
Rle rle_union(const std::vector<Rle>& masks);
Rle rle_intersection(const std::vector<Rle>& masks);

}  // namespace declip

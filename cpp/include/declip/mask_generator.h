#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "declip/call.h"
#include "declip/job_size.h"
#include "declip/size.h"

namespace declip {

class Model;

/// x and y in 0..1 of n by n points in the middles of equal cells, x fastest.
/// Numbers are numpy's linspace, with its roundings.
std::vector<double> point_grid(int64_t per_side);

/// SAM's automatic masks (Kirillov et al., arXiv:2304.02643;
/// segment-anything, automatic_mask_generator.py). Thresholds of 0 are off.
struct MaskGeneratorOptions {
  /// Of every layer of crops x and y of its points, in 0..1 of a crop: the
  /// first for the whole picture, crop_layers + 1 of them.
  std::vector<std::vector<double>> points;
  int64_t points_per_batch = 64;
  double predicted_iou = 0.88;  // masks must be above
  double stability = 0.95;      // masks must reach it
  double stability_offset = 1;  // of the logits, at least 0
  double box_nms = 0.7;         // within a crop
  double crop_nms = 0.7;        // of masks of different crops
  int64_t crop_layers = 0;
  double crop_overlap = 512.0 / 1500.0;
  int64_t min_region_area = 0;  // pixels; 0: regions stay
  bool multimask = true;        // three masks for a point, or one
};

struct GeneratedMask {
  std::string
      counts;        // of the picture's mask, as compress_counts() writes them
  int64_t area = 0;  // pixels
  /// x, y, and largest minus smallest column and row inside: one less than
  /// columns and rows it has, as SAM's records have it.
  std::array<int64_t, 4> box{};
  float predicted_iou = 0;
  float stability = 0;  // not a number without a logit above minus the offset
  std::array<double, 2> point{};  // it was made from, in pixels of the picture
  std::array<int64_t, 4> crop{};  // x, y, width, height
};

struct GeneratedMasks {
  Size size;  // of the picture and of every mask
  std::vector<GeneratedMask> masks;
};

/// Masks of whatever is in a picture, without words, in the order of falling
/// predicted overlap; those of small crops come first. They may overlap.
///
/// pixels  uint8 [H, W, 1 | 3 | 4]
///
/// Memory is bounded: one batch of points' low-res logits, a crop in pixels,
/// and for every mask that passed the filters its run lengths or, where they
/// are shorter, its low-res logits.
/// Throws Error(kWeights) where the model has no mask decoder,
/// Error(kInvalidArg), Error(kAborted).
GeneratedMasks generate_masks(const Model& model,
                              const at::Tensor& pixels,
                              const MaskGeneratorOptions& options,
                              const Call& call);

/// generate_masks() on a picture of this size.
JobSize size_of_generating(const Model& model,
                           Size picture,
                           const MaskGeneratorOptions& options);

}  // namespace declip

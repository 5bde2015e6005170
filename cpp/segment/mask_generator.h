#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "declip/call.h"
#include "declip/mask_generator.h"
#include "segment/crop_grid.h"

namespace declip {

/// Masks of a batch of points.
struct PointLogits {
  at::Tensor low_res;  // float32 [B, M, h, w], above 0 is inside
  at::Tensor iou;      // float32 [B, M]
};

/// A crop that the encoder has seen.
class EncodedCrop {
 public:
  virtual ~EncodedCrop() = default;
  /// points  float64 [B, 2], x and y in pixels of the crop: one prompt each
  virtual PointLogits masks_of(const at::Tensor& points,
                               bool multimask,
                               const Call& call) const = 0;
  /// Of the network's square, and of the crop in it.
  virtual int64_t side() const = 0;
  virtual Size input() const = 0;
};

/// What makes masks of points: SAM, or what tests put in its place.
class PointPrompted {
 public:
  virtual ~PointPrompted() = default;
  /// pixels  uint8 [h, w, C]
  virtual std::unique_ptr<EncodedCrop> encode(const at::Tensor& pixels,
                                              const Call& call) const = 0;
};

GeneratedMasks generate_masks(const PointPrompted& model,
                              const at::Tensor& pixels,
                              const MaskGeneratorOptions& options,
                              const Call& call);

/// Whether a box of a crop (smallest and largest column and row, in pixels of
/// the crop) ends at a side of the crop that is none of the picture: within 20
/// pixels of it. Its object may go on there
/// (segment-anything, utils/amg.py, is_box_near_crop_edge).
bool is_near_crop_edge(const int32_t* box,
                       const PictureCrop& crop,
                       Size picture);

}  // namespace declip

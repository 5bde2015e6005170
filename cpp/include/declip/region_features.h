#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/regions.h"
#include "declip/size.h"

namespace declip {

// Features of regions from a map of patch features, [B, E, h, w] as
// Model::encode_region_map() gives it: one pass serves any number of regions.

struct PoolOptions {
  bool normalize = true;  // results of unit length
  /// The picture in the batch of each region; empty: all 0.
  std::vector<int64_t> image_index;
};

/// RoIAlign 1 x 1. boxes [K, 4] xyxy in pixels of the input that the map was
/// made of, whose size is `input`. Returns float32 [K, E].
/// Throws Error(kInvalidArg) for anything else, and for boxes not finite.
at::Tensor pool_boxes(const at::Tensor& map,
                      Size input,
                      const at::Tensor& boxes,
                      const PoolOptions& options);

/// Mean of the patches under each mask, zeros where there is none. masks are
/// [K, h, w] on the patch grid, or [K, H, W] in pixels of the input: resized
/// bicubically, then > 0. `padded`: in pixels of a picture whose long side
/// fills the input's, with padding at the right and bottom (CLIPSelf's
/// evaluation). Returns float32 [K, E].
/// Throws Error(kInvalidArg) for anything else.
at::Tensor pool_masks(const at::Tensor& map,
                      Size input,
                      const at::Tensor& masks,
                      bool padded,
                      const PoolOptions& options);

/// The smallest boxes that hold all pixels of each mask, whose right and lower
/// edges are one beyond the last pixel; all zeros of an empty one. masks are
/// uint8 or bool [K, H, W].
/// Throws Error(kInvalidArg) for anything else.
std::vector<PixelBox> boxes_of_masks(const at::Tensor& masks);

}  // namespace declip

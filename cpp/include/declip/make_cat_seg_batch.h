#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/call.h"
#include "declip/config.h"

namespace declip {

/// A picture with its label map, and how it is changed: detectron2's semantic
/// mapper as CAT-Seg configures it. Draws are made by who asks.
struct SemanticPicture {
  at::Tensor pixels;  // as rgb_pixels() takes them
  at::Tensor labels;  // uint8 or int16/int32 [H, W]; what is no class: ignore
  /// What the short side becomes, in pixels, and the most of the long one.
  int64_t short_side = 384, long_side = 1333;
  /// Where the crop lies among the places that it may have, 0 to below 1.
  double crop_x = 0, crop_y = 0;
  bool mirror = false;
  /// SSD's colour jitter in OpenCV's 8-bit arithmetic; unset (0 or 1): none.
  double brightness = 0;        // added, -32..32
  double contrast = 1;          // factor
  double saturation = 1;        // factor in HSV
  int64_t hue = 0;              // added in HSV, -18..18
  bool contrast_first = false;  // before saturation and hue, else after
};

struct SemanticPictures {
  at::Tensor images;  // float32 [B, 3, S, S], normalised
  at::Tensor labels;  // int64 [B, S, S], -1 for ignored pixels and padding
};

/// Pictures for a step of CAT-Seg: Pillow's bilinear resize of the short side
/// (labels by the nearest pixel, torch's floor rule), a crop of side x side,
/// mirrored, padded at the right and bottom with grey 128 and label -1.
/// Classes are 0..classes-1; every other label becomes -1.
/// A function of its arguments alone.
/// Throws Error(kInvalidArg) for pictures, labels or sides that cannot be.
SemanticPictures make_cat_seg_batch(std::vector<SemanticPicture> pictures,
                                    int64_t side,
                                    int64_t classes,
                                    const PixelStats& statistics,
                                    const Call& call);

}  // namespace declip

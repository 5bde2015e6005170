#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/call.h"
#include "declip/regions.h"
#include "declip/size.h"

namespace declip {

/// A picture that a detector learns from, and how it is changed: mmdetection's
/// large-scale jitter (Resize with a range of ratios, RandomCrop, RandomFlip).
struct JitterPicture {
  at::Tensor pixels;            // as rgb_pixels() takes them
  std::vector<PixelBox> boxes;  // true ones, in pixels of it
  at::Tensor masks;             // uint8 [n, H, W], or undefined
  /// The long side becomes this share of the square's, which may be above 1.
  double scale = 1;
  /// Where the crop lies among the places that it may have, 0 to below 1.
  double crop_x = 0, crop_y = 0;
  bool mirror = false;
};

/// What became of a picture.
struct JitteredPicture {
  Size size;                  // in the square, before padding
  at::Tensor boxes;           // float32 [m, 4] xyxy in pixels of the square
  std::vector<int32_t> kept;  // which of the boxes they were
  at::Tensor masks;           // uint8 [m, S, S]; undefined without masks
};

struct DetectorPictures {
  at::Tensor images;  // float32 [B, 3, S, S]
  std::vector<JitteredPicture> samples;
};

/// Pictures for a step of a detector: resized by OpenCV's bilinear rule so that
/// the long side is `scale * side`, cut to at most side x side, mirrored,
/// normalised with ImageNet's statistics and padded with 0 right and below.
/// Masks go along (nearest pixel), and then a box is the smallest around what
/// is left of its mask; without masks it is what is left of the box. Those of
/// 0.01 px or less are left out. A function of its arguments alone.
///
/// Sources: mmdetection 2.28, pipelines/transforms.py; mmcv 1.7, image/.
/// Throws Error(kInvalidArg) for pictures, masks, scales or sides that cannot
/// be.
DetectorPictures make_detector_batch(std::vector<JitterPicture> pictures,
                                     int64_t side,
                                     const Call& call);

/// Maps of pictures, one below the other, in a number format and in
/// channels-last memory. Tensors [n, C, h, w] of any format, on one device.
/// Throws Error(kInvalidArg) where their shapes differ.
at::Tensor join_maps(const std::vector<at::Tensor>& maps, at::ScalarType type);

}  // namespace declip

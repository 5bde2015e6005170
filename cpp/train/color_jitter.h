#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace declip {

/// SSD's colour jitter with what was drawn for a picture (Liu et al.,
/// arXiv:1512.02325; detectron2's ColorAugSSDTransform).
struct ColorJitter {
  double brightness = 0;        // added, 0: not changed
  double contrast = 1;          // factor, 1: not changed
  double saturation = 1;        // factor in HSV, 1: not changed
  int64_t hue = 0;              // added in HSV, in steps of 2 degrees; 0: not
  bool contrast_first = false;  // before saturation and hue, else after
};

/// Changes 8-bit RGB [H, W, 3] in place. As there, every one of the four gives
/// bytes again: float32 values are cut to 0..255 and truncated. Saturation and
/// hue go through OpenCV's 8-bit HSV (hue 0..179) and back, each for itself;
/// back as OpenCV's vector code does it, which truncates (the pixels at a row's
/// end that do not fill a vector are rounded there, which depends on the
/// processor; here all are treated alike).
void jitter_colors(const at::Tensor& rgb, const ColorJitter& jitter);

/// One pixel from RGB to OpenCV's 8-bit HSV, and back. In place.
void rgb_to_hsv_u8(uint8_t* pixel);
void hsv_to_rgb_u8(uint8_t* pixel);

}  // namespace declip

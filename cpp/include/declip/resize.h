#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

#include "declip/config.h"
#include "declip/size.h"

namespace declip {

/// Size with the aspect ratio kept: the short side becomes `short_side` unless
/// that takes the long side above `max_long`. Rounds half up, as mmcv does.
/// Without `enlarge` a smaller picture stays as it is.
Size keep_ratio_size(Size size,
                     int64_t short_side,
                     int64_t max_long = 2048,
                     bool enlarge = true);

/// 8-bit pixels [H, W, C] as RGB [H, W, 3]: one channel repeated, alpha
/// dropped, three as they are. Throws Error(kInvalidArg) for anything else.
at::Tensor rgb_pixels(const at::Tensor& pixels);

/// OpenCV's INTER_LINEAR on 8-bit RGB, bit for bit: half-pixel centres, 11-bit
/// weights, no antialias; exactly half in both directions averages 2x2 pixels.
///
/// rgb  [height, width, 3] bytes, row-major
/// Returns uint8 [to.height, to.width, 3].
at::Tensor resize_linear_u8(const uint8_t* rgb, Size from, Size to);

/// The same of rgb_pixels(pixels), of which no copy in full size is made.
at::Tensor resize_linear_u8(const at::Tensor& pixels, Size to);

enum class PillowFilter { kBilinear, kBicubic };

/// Pillow's antialiased resampling of 8-bit RGB, bit for bit: 22-bit weights,
/// first along rows, then along columns, rounded to bytes in between.
/// Arguments and result as resize_linear_u8.
at::Tensor resize_pillow(const uint8_t* rgb,
                         Size from,
                         Size to,
                         PillowFilter filter);

/// (float32(pixel) - mean) / std with statistics on the 0..255 scale.
/// rgb is uint8 [H, W, 3]; returns float32 [1, 3, H, W].
at::Tensor normalize_mmcv(const at::Tensor& rgb,
                          const std::array<double, 3>& mean,
                          const std::array<double, 3>& std);

/// (float32(pixel) / 255 - mean) / std with statistics on the 0..1 scale.
/// rgb is uint8 [H, W, 3]; returns float32 [1, 3, H, W].
at::Tensor normalize_unit(const at::Tensor& rgb,
                          const std::array<double, 3>& mean,
                          const std::array<double, 3>& std);

/// How a picture of any shape becomes a square input.
enum class Fit {
  kCrop,    // short side to `side` (Pillow bicubic), centre crop: CLIP
  kSquash,  // both sides to `side` (Pillow bilinear): DeCLIP's training input
  kPad,     // long side to `side` (Pillow bicubic), black right and bottom
  kPadAround,  // the same, black on both sides, the odd pixel right or below
};

/// Resizes as `fit` says and normalises with statistics on the 0..1 scale.
/// Returns float32 [1, 3, side, side].
at::Tensor preprocess(const uint8_t* rgb,
                      Size from,
                      Fit fit,
                      int64_t side,
                      const std::array<double, 3>& mean,
                      const std::array<double, 3>& std);

/// What `how` says of a tower of image_size `side`, normalised with `pixels`.
/// Returns float32 [1, 3, S, S], of another shape for Resize::kPatches alone.
at::Tensor preprocess(const uint8_t* rgb,
                      Size from,
                      const Preprocess& how,
                      int64_t side,
                      const PixelStats& pixels);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace declip {

/// How a learned positional table is resized to another patch grid.
enum class Positions {
  /// Bicubic with the factor (h + 0.1) / g, used when the token count differs:
  /// ITACLIP, SCLIP, NACLIP, ClearCLIP, ProxyCLIP (from DINO's code).
  kScaleFactor,
  /// Bicubic to exactly (h, w), used when the grid differs: DeCLIP, CLIPSelf,
  /// Hugging Face.
  kSize,
};

/// table [1 + g*g, C] (class token first) -> [1 + h*w, C].
/// Cubic kernel with a = -0.75, no antialiasing, borders clamped.
at::Tensor resize_positions(const at::Tensor& table,
                            int64_t h,
                            int64_t w,
                            Positions rule);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace declip {

/// How the authors of a vision foundation model resize a learned table of
/// positions. All of them have half-pixel centres and clamped borders, and are
/// bicubic but for the last two.
enum class TableResize {
  /// a = -0.75; output i samples (i + 0.5) * N / (h + 0.1) - 0.5: DINO, DINOv2
  /// without registers.
  kScaleFactor,
  /// a = -0.75, to exactly h x w: SAM in DeCLIP.
  kSize,
  /// a = -0.5, to exactly h x w, with the kernel widened when shrinking: DINOv2
  /// with registers.
  kAntialiased,
  /// To exactly h x w: PE-Core.
  kBilinear,
  /// The same with the kernel widened when shrinking: TIPSv2, SigLIP 2 NaFlex.
  kBilinearAntialiased,
};

/// table [N, N, C] -> [h * w, C], computed in float32; as it is if h = w = N.
at::Tensor resize_table(const at::Tensor& table,
                        int64_t h,
                        int64_t w,
                        TableResize rule);

}  // namespace declip

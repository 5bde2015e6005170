#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace declip {

/// The pixels of every patch in a row, [B, 3, H, W] -> [B, h * w, 3 * p * p]:
/// a convolution whose stride is its kernel is one product with these. Pixels
/// beyond whole patches are dropped.
inline at::Tensor patch_pixels(const at::Tensor& image, int64_t p) {
  const int64_t batch = image.size(0);
  const int64_t h = image.size(2) / p, w = image.size(3) / p;
  return image.slice(2, 0, h * p)
      .slice(3, 0, w * p)
      .view({batch, 3, h, p, w, p})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({batch, h * w, 3 * p * p});
}

}  // namespace declip

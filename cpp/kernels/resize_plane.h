#pragma once

#include <ATen/core/Tensor.h>

namespace declip {

/// Bilinear resize of one plane into another: half-pixel centres, edges
/// clamped, no antialias (PyTorch's align_corners=False).
///
/// in, out  contiguous float32 [h, w] and [H, W] on one device
void resize_plane(const at::Tensor& in, const at::Tensor& out);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace declip {

/// Mean of the patch features under each mask: sum(f m) / (sum(m) + 1e-12); an
/// empty mask gives zeros. Differentiable in the features, which may be on any
/// device.
///
/// features  floating point [B, C, h, w]
/// masks     bool or floating point [K, h, w]
/// batch     int64 [K], the picture of each mask
/// Returns [K, C].
at::Tensor mask_pool(const at::Tensor& features,
                     const at::Tensor& masks,
                     const at::Tensor& batch);

/// Pixel masks on the patch grid: bicubic without antialias, then > 0, so that
/// any positive overshoot counts. masks [K, H, W]; returns bool [K, h, w].
at::Tensor resize_masks_bicubic(const at::Tensor& masks,
                                int64_t height,
                                int64_t width);

}  // namespace declip

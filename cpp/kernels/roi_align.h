#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace declip {

/// RoIAlign with aligned=true and an adaptive number of samples (He et al.,
/// arXiv:1703.06870; torchvision's sampling_ratio=-1). Differentiable in the
/// features, which may be on any device.
///
/// features  floating point [B, C, h, w]
/// boxes     [K, 4], xyxy; scale_y and scale_x take them to the patch grid
/// batch     int64 [K], the picture of each box
/// Returns [K, C, out_height, out_width].
at::Tensor roi_align(const at::Tensor& features,
                     const at::Tensor& boxes,
                     const at::Tensor& batch,
                     double scale_y,
                     double scale_x,
                     int64_t out_height = 1,
                     int64_t out_width = 1);

}  // namespace declip

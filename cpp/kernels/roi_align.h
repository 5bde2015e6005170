#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/cpu/level.h"

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

/// One product of the weights with a picture's features, [K * bins, h * w]
/// times [h * w, C], is the whole of RoIAlign.
struct RoiAlignView {
  const float* boxes = nullptr;  // [K, 4] xyxy in patches
  int64_t count = 0;             // K
  int64_t height = 0;            // h
  int64_t width = 0;             // w
  int64_t out_height = 1;
  int64_t out_width = 1;
  float* weights = nullptr;  // [K, out_height * out_width, h * w]
};

namespace cpu {
DECLIP_CPU_TWIN(void, roi_align_weights, (const RoiAlignView& view), (view))
}  // namespace cpu

}  // namespace declip

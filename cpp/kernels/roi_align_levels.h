#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace declip {

/// A map that boxes are pooled from.
struct RoiMap {
  at::Tensor features;      // floating point [B, C, h, w]
  double scale_y, scale_x;  // from the boxes' unit to places; float32 is used
};

/// RoIAlign with aligned=true and an adaptive number of samples (He et al.,
/// arXiv:1703.06870; mmcv's and torchvision's with a sampling ratio of 0), each
/// box from a map of its own. Differentiable in the maps; the gradients of one
/// call are the same to the bit whatever the number of threads. Samples are
/// counted in float32 as mmcv counts them: from
/// (x1 scale - 0.5) - (x0 scale - 0.5), each operation rounded.
///
/// maps      1..8, of one dtype, device and number of channels; channels-last
///           memory is read as it is, other is copied
/// boxes     float32 [N, 4] xyxy
/// level     int64 [N], the map of each box
/// pictures  int64 [N], and the picture in it
/// Returns [N, C, out_height, out_width] in channels-last memory and in the
/// maps' dtype; sums are in float32. Throws Error(kInvalidArg) for boxes that
/// are not finite, end before they begin or are over 65536 places long, and for
/// a map or picture that there is not.
at::Tensor roi_align_levels(const std::vector<RoiMap>& maps,
                            const at::Tensor& boxes,
                            const at::Tensor& level,
                            const at::Tensor& pictures,
                            int64_t out_height,
                            int64_t out_width);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "declip/size.h"

namespace declip {

/// A picture as a detector's tower takes it (mmdetection's test pipeline with
/// F-ViT's configuration).
struct DetectorPicture {
  at::Tensor image;          // float32 [1, 3, side, side]
  Size picture, resized;     // as it came; before padding
  std::vector<float> scale;  // resized / picture: x, y
};

/// Resized so that the long side is `side`, as OpenCV does it without
/// antialias, normalised with ImageNet's statistics, then zeros on the right
/// and below. `pixels` as rgb_pixels() takes them.
DetectorPicture detector_picture(const at::Tensor& pixels, int64_t side);

/// The last two steps: rgb uint8 [h, w, 3], no side longer than `side`.
at::Tensor detector_image(const at::Tensor& rgb, int64_t side);

}  // namespace declip

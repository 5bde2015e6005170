#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "declip/rle.h"
#include "declip/size.h"

namespace declip {

/// Masks of boxes in the size of the picture (mmdetection's
/// FCNMaskHead.get_seg_masks): the map of a box is stretched over it, sampled
/// bilinearly at the centre of every pixel with zeros outside, and is inside
/// where it is at least `threshold`. Straight to run lengths: no mask ever
/// exists in pixels, and only pixels near outlines are computed.
///
/// probabilities  float32 [N, m, m], on any device
/// boxes          float32 [N, 4] xyxy in pixels of the picture, which they may
///                leave; one without area or that is not finite has an empty
///                mask
/// threshold      above 0
std::vector<Rle> paste_masks(const at::Tensor& probabilities,
                             const at::Tensor& boxes,
                             Size picture,
                             double threshold = 0.5);

}  // namespace declip

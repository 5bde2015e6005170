#pragma once

#include <ATen/core/Tensor.h>

#include "declip/call.h"
#include "declip/config.h"
#include "declip/encoded_image.h"

namespace declip {

class Model;

/// Dense features of a whole picture in its own size: float32 [C, h, w] on the
/// model's device, not normalised. Each side is brought to the nearest multiple
/// of the patch, a half to the even one and at least one patch, bilinearly
/// without antialiasing; SAM sees its native square, and a picture of more than
/// 16384 patches is shrunk to about that, which is ours. A foundation model
/// gives its patches after the last layer; a CLIP model, which is ours, those
/// of its trained dense mode, else of 'naclip' or 'vanilla'.
///
/// picture  8-bit pixels in the picture's own size, or normalised with `pixels`
/// CorrCLIP v2, github.com/zdk258/CorrCLIP, vfms/factory.py.
/// Throws Error(kInvalidArg) for pixels that were resized before.
at::Tensor picture_features(const Model& model,
                            const Picture& picture,
                            const PixelStats& pixels,
                            const Call& call);

/// Sum over the pixels of each region of the features' unit vectors, divided by
/// the number of its pixels: float32 [R, C] on the CPU, not normalised.
///
/// features  float32 [C, h, w], upsampled bilinearly (half-pixel centres) to
///           the regions' size and brought to unit length pixel by pixel
/// index     int32 [H, W], CPU: 0..R-1, or below 0 for pixels of none
///
/// No upsampled map is made: between four patches the length of a mixture
/// follows from their ten products, and the sum over pixels from the weights of
/// four patches in each region.
at::Tensor mean_unit_features(const at::Tensor& features,
                              const at::Tensor& index,
                              int64_t regions);

}  // namespace declip

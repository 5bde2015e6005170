#pragma once

#include <ATen/core/Tensor.h>

#include "declip/call.h"
#include "declip/config.h"
#include "declip/dense.h"

namespace declip {

class Model;

/// ProxyCLIP's features of pictures, [B, C, Hv, Wv].
///
/// model  a vision foundation model
/// image  [B, 3, H, W] as CLIP takes it, normalised with `pixels`; brought to
///        the statistics of `model` first, and for SAM resized to its native
///        square (bilinear, no antialiasing)
/// part   q + k of the last block (CorrCLIP, arXiv:2411.10086) only of DINO and
///        its successors
///
/// Throws Error(kInvalidArg) for a part that the model does not have.
///
/// Lan et al., arXiv:2408.04883, and its proxyclip_segmentor.py.
at::Tensor proxy_features(const Model& model,
                          const at::Tensor& image,
                          const PixelStats& pixels,
                          ProxyPart part,
                          const Call& call);

}  // namespace declip

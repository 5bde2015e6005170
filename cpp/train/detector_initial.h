#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>

#include "declip/config.h"
#include "declip/train_detector.h"

namespace declip {

/// F-ViT's heads that have learnt nothing, for a tower, under mmdetection's
/// names and drawn as it does: the RPN normal with deviation 0.01, lateral and
/// pyramid convolutions and the box head's linear layers uniform as Glorot and
/// Bengio have it, the last layer of boxes normal with 0.001, convolutions of
/// boxes and masks as He et al. (arXiv:1502.01852), up-sampling as PyTorch
/// begins transposed convolutions. Norms are one and zero. The same seed gives
/// the same weights.
/// Throws Error(kInvalidArg) for sizes that cannot be.
std::map<std::string, at::Tensor> initial_heads(
    const VisionConfig& tower, const DetectorTrainOptions& options);

}  // namespace declip

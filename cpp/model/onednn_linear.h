#pragma once

#include <ATen/core/Tensor.h>

namespace declip {

/// Whether this LibTorch has oneDNN's linear layer.
bool has_onednn_linear();

/// x W^T + b by oneDNN, whose float32 products are up to twice as fast as
/// those of at::linear(). CPU, float32 or bfloat16; `weight` [out, in] has any
/// strides and is not packed beforehand, `bias` may be undefined. No gradients.
at::Tensor onednn_linear(const at::Tensor& x,
                         const at::Tensor& weight,
                         const at::Tensor& bias = {});

}  // namespace declip

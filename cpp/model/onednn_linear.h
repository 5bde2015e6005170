#pragma once

#include <ATen/core/Tensor.h>

namespace declip {

/// Whether this LibTorch has oneDNN's linear layer.
bool has_onednn_linear();

/// Whether its float32 products are faster than LibTorch's: with AVX-512 up to
/// twice. With AVX2 alone they are 10 to 20 % slower, and a third with SiLU.
bool has_fast_onednn();

/// x W^T + b by oneDNN. CPU, float32 or bfloat16; `weight` [out, in] has any
/// strides and is not packed beforehand, `bias` may be undefined. No gradients.
at::Tensor onednn_linear(const at::Tensor& x,
                         const at::Tensor& weight,
                         const at::Tensor& bias = {});

}  // namespace declip

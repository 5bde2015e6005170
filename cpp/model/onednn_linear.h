#pragma once

#include <ATen/core/Tensor.h>

namespace declip {

/// Whether this LibTorch has oneDNN's linear layer.
bool has_onednn_linear();

/// Whether its float32 products are faster than LibTorch's (MKL's): packed ones
/// with AVX-512, up to twice. With AVX2 alone they are 10 to 20 % slower, and a
/// third with SiLU.
bool has_fast_onednn();

/// The same of products that are not packed: with AVX-512 on other processors
/// than Intel's, on which MKL uses AVX-512 too and is up to 1.5 times as fast.
bool has_fast_unpacked_onednn();

/// x W^T + b by oneDNN. CPU, float32 or bfloat16; `weight` [out, in] has any
/// strides and is not packed beforehand, `bias` may be undefined. No gradients.
at::Tensor onednn_linear(const at::Tensor& x,
                         const at::Tensor& weight,
                         const at::Tensor& bias = {});

}  // namespace declip

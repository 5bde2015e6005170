#pragma once

#include <ATen/core/Tensor.h>

namespace declip {

/// (x - mean) / sqrt(variance + eps) * weight + bias over the last dimension.
///
/// x             [..., C], rows contiguous
/// weight, bias  float32 [C]
/// Returns [..., C] of `dtype`. Kernels for float32 and bfloat16, on CUDA also
/// float16; LibTorch's operators otherwise.
at::Tensor layer_norm(const at::Tensor& x,
                      const at::Tensor& weight,
                      const at::Tensor& bias,
                      double eps,
                      at::ScalarType dtype);

/// The same of silu(a) * b for x = [a, b], [..., 2 C].
at::Tensor gated_layer_norm(const at::Tensor& x,
                            const at::Tensor& weight,
                            const at::Tensor& bias,
                            double eps,
                            at::ScalarType dtype);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/quantize.h"

namespace declip {

// Products and attention with gradients of their own, for training on the CPU.
// LibTorch's operators have gradients too, but its float32 products are not
// oneDNN's, its attention kernel is slow for short sequences, and an
// activation's input and output are both kept. Other devices and types get
// LibTorch's operators.

/// The activation by LibTorch's operators, with their gradients.
at::Tensor activate(Epilogue activation, const at::Tensor& x);

/// activation(x) W^T + b for x [..., in], weight [out, in], bias [out] or
/// undefined. Of x and activation(x) only x is kept; the activation is made
/// again on the way back.
at::Tensor recorded_linear(const at::Tensor& x,
                           const at::Tensor& weight,
                           const at::Tensor& bias,
                           Epilogue activation = Epilogue::kNone);

/// softmax(scale q k^T) v of every head, [B, L, n, d] -> [B, L, n * d]. The way
/// forward is dense_attention()'s; the way back makes the scores again, a few
/// heads at a time, in the heads' dtype (Dao et al., arXiv:2205.14135, section
/// 3.1, without tiles: a head's scores fit the cache).
at::Tensor recorded_attention(const at::Tensor& q,
                              const at::Tensor& k,
                              const at::Tensor& v,
                              double scale,
                              bool causal = false);

}  // namespace declip

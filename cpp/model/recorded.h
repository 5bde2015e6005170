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

/// activation(x) (factor W)^T + b in x's dtype, for x [..., in], weight
/// [out, in] of x's dtype or wider, bias [out] of x's dtype or undefined.
/// Nothing is kept but x and the weight as it was given: the activation, and
/// the weight times its factor in x's dtype, are made again on the way back.
at::Tensor recorded_linear(const at::Tensor& x,
                           const at::Tensor& weight,
                           const at::Tensor& bias,
                           Epilogue activation = Epilogue::kNone,
                           double factor = 1);

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

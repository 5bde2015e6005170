#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace declip {

/// Turns the channel pairs (0, 1), (2, 3), ... of the patches by their angles,
/// in place; the first `prefix` tokens (class token, registers) stay.
///
/// x         [B, prefix + N, n, d], d contiguous, even; float32 or bfloat16, on
/// CUDA
///           also float16
/// cos, sin  float32 [N, d]
void rotate_pairs(const at::Tensor& x,
                  const at::Tensor& cos,
                  const at::Tensor& sin,
                  int64_t prefix);

}  // namespace declip

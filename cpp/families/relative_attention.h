#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "declip/call.h"
#include "model/layers.h"

namespace declip {

/// Attention over a grid of a x b tokens with SAM's decomposed relative
/// positions:
///
///   scores[(y, x), (y', x')] = q k / sqrt(d) + q Rh[y - y' + a - 1]
///                                            + q Rw[x - x' + b - 1]
///
/// heads          [B, a * b, n, d]
/// rows, columns  Rh, Rw: [length, d], resized linearly to 2 a - 1 and 2 b - 1
///                where their length is another
/// Returns [B, a * b, n * d].
///
/// The two sums are products of longer vectors: q with its product with every
/// row and every column appended, k with the number of its row and its column
/// as unit vectors. So no scores of all tokens are kept: the fused kernel makes
/// them a few rows at a time, the eager way a slice of queries of one head.
at::Tensor relative_attention(const Heads& heads,
                              const at::Tensor& rows,
                              const at::Tensor& columns,
                              int64_t a,
                              int64_t b,
                              const Numerics& numerics,
                              const Call& call);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/walk.h"

namespace declip {

// SC-CLIP's anomalous tokens: patches whose tokens lie alone, found by a local
// outlier factor, and made again of the patches around them. Every picture of a
// batch has statistics of its own. No more than some rows of distances are
// kept.

/// x [B, N, D] -> float32 [B, N]: with r the squared distance of a token to its
/// k-th nearest other, r times the mean of 1 / r over those k. In float32
/// whatever the dtype. Undefined for N <= k, where there are no k others.
at::Tensor outlier_scores(const at::Tensor& x, int64_t k);

/// bool [B, N]: scores above the quantile 1 - share of their picture, which is
/// interpolated linearly. None where all scores are equal.
at::Tensor anomalous(const at::Tensor& scores, double share);

/// x [B, N, D] float32, patches row by row on `grid`, in which anomalous ones
/// are the mean of those of their up to 8 neighbours that are not; one without
/// such a neighbour stays. `positions` [B, N] bool.
at::Tensor repaired(const at::Tensor& x,
                    const at::Tensor& positions,
                    Grid grid);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/dense.h"
#include "kernels/dense_attention.h"
#include "model/layers.h"
#include "model/recipe.h"
#include "model/walk.h"

namespace declip {

// Attention under a dense mode, whether in the last block or in a pooling head.

/// sum of softmaxes as dense_attention() has it, on the numerics' own way:
/// v [B, Lk, n, e] -> [B, Lq, n * e].
at::Tensor combine(const Numerics& numerics,
                   const std::vector<AttentionTerm>& terms,
                   const at::Tensor& v,
                   const AttentionOptions& options);

/// One term per self-similarity that takes part, or one for their mean.
std::vector<AttentionTerm> self_terms(const Heads& heads,
                                      const Recipe& recipe,
                                      double scale,
                                      double weight);

/// What a mode takes of a projection to q, k and v.
Wanted wanted_by(const Recipe& recipe, const DenseOptions& options);

/// ProxyCLIP: attention over the M = Hv*Wv cells of the external features, the
/// same for every head, on values resampled to that grid. v [B, h * w, n, d],
/// patches only -> [B, M, n * d].
at::Tensor proxy_attention(const Numerics& numerics,
                           const at::Tensor& v,
                           Grid grid,
                           const DenseOptions& options);

/// Throws Error(kInvalidArg) unless there is one map per image.
void check_proxy_features(const DenseOptions& options, int64_t images);

/// Grid of the features: that of the patches, or of ProxyCLIP's external ones.
Grid dense_grid(Grid patches, const DenseOptions& options);

}  // namespace declip

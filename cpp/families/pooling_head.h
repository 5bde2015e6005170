#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "checkpoint/tower_shapes.h"
#include "declip/config.h"
#include "declip/dense.h"
#include "model/layers.h"
#include "model/walk.h"
#include "model/weights.h"

namespace declip {

/// The attention pooling head of SigLIP (Zhai et al., arXiv:2303.15343) and
/// PE-Core: one learned query, the probe, attends to all tokens, and an MLP
/// follows, whose residual is what the attention gave, before the norm:
///
///   a = out_proj(attention(probe, H, H)),  e = a + mlp(layernorm(a))
///
/// Dense modes leave the probe out: every patch gets an e of its own. Tokens H
/// are [B, N, D] after the tower's final norm, in the numerics' dtype; results
/// have the stream's.
class PoolingHead {
 public:
  /// scope: of `probe` [1, 1, D], `attn.in_proj_weight` [3 D, D] and
  /// `attn.in_proj_bias` [3 D], `attn.out_proj.*`, `layernorm.*`, `mlp.c_fc.*`
  /// and `mlp.c_proj.*`.
  PoolingHead(const Scope& scope,
              const PoolingHeadConfig& config,
              double layer_norm_eps,
              const Numerics& numerics);

  /// e of the probe, [B, D], not normalised.
  at::Tensor pooled(const at::Tensor& tokens) const;

  /// Patch features under one of head_modes(), [B, N, D]; ProxyCLIP's [B, M, D]
  /// on the grid of its external features (dense_grid()). Tokens beside the
  /// patches' may be among `tokens` and take part as any other, but not for
  /// ProxyCLIP. `grid` is the patches'.
  /// Throws Error(kInvalidArg) for options that do not fit the mode.
  at::Tensor dense(const at::Tensor& tokens,
                   Grid grid,
                   const DenseOptions& options) const;

  /// q, k, v of all tokens, [B, N, n, d], biases added, not scaled. DeCLIP's
  /// context is q.
  Heads project(const at::Tensor& tokens, const Wanted& wanted) const {
    return in_proj_(tokens, wanted);
  }

 private:
  /// Attended values [B, L, D] through the output projection.
  at::Tensor output(const at::Tensor& merged) const;
  /// a + mlp(layernorm(a)).
  at::Tensor with_mlp(const at::Tensor& a) const;

  Numerics numerics_;
  Projection in_proj_;
  Linear out_proj_;
  LayerNorm norm_, norm_in_stream_;
  Mlp mlp_;
  at::Tensor query_;  // of the probe, [1, 1, n, d]
};

/// Demands the head's tensors under `visual.attn_pool.`.
void check_pooling_head(ShapeChecker& check, int64_t width, int64_t mlp_hidden);

}  // namespace declip

#pragma once

#include <optional>

#include "declip/config.h"
#include "model/layers.h"
#include "model/weights.h"

namespace declip {

/// What the pre-norm blocks of DINO, its successors and SAM share: norm1, fused
/// qkv with bias, output projection, norm2 and an MLP with exact GELU or
/// SwiGLU. How tokens attend is the model's own. LayerScale is folded into the
/// layers that it scales.
class FoundationBlock {
 public:
  /// head_order  int64 [d]: which channel of a head of queries and keys stands
  ///             at which place; undefined: as they are stored
  FoundationBlock(const Scope& scope,
                  const ModelConfig& config,
                  const Numerics& numerics,
                  const at::Tensor& head_order = {});

  at::Tensor norm1(const at::Tensor& x) const { return norm1_(x); }
  /// Queries, keys and values of what norm1 gave.
  Heads project(const at::Tensor& normed) const { return qkv_(normed, {}); }
  /// x + output projection of the merged heads; without an x, the projection.
  at::Tensor output(const at::Tensor& x, const at::Tensor& merged) const;
  /// y + MLP of norm2 of y.
  at::Tensor feed_forward(const at::Tensor& y) const;
  /// Both.
  at::Tensor finish(const at::Tensor& x, const at::Tensor& merged) const {
    return feed_forward(output(x, merged));
  }

 private:
  LayerNorm norm1_, norm2_;
  Projection qkv_;
  Linear proj_;
  std::optional<Mlp> mlp_;
  Linear gate_up_, down_;  // SwiGLU, where there is no mlp_
};

}  // namespace declip

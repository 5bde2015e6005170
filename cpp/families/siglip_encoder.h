#pragma once

#include <cstdint>
#include <vector>

#include "families/pooling_head.h"
#include "families/positions.h"
#include "model/encoder.h"

namespace declip {

/// SigLIP's image tower, which SigLIP 2 shares: patches with a position each
/// and no class token, CLIP's pre-norm blocks, a final norm, and the pooling
/// head, whose result is the embedding. Zhai et al., arXiv:2303.15343;
/// Tschannen et al., arXiv:2502.14786. Dense modes change the head alone.
class Siglip final : public VisionEncoder, public Blocks {
 public:
  Siglip(const ModelConfig& config,
         const Weights& weights,
         const Numerics& numerics);

  at::Tensor class_features(const at::Tensor& image,
                            Positions positions,
                            const Call& call) const override;
  Stages stages(const at::Tensor& image,
                const StageOptions& options,
                const Call& call) const override;

  /// Input of block 0, [B, h * w, D].
  at::Tensor embed(const at::Tensor& image, Positions positions) const;
  int64_t depth() const override { return config_.vision.layers; }
  at::Tensor block(int64_t i,
                   const at::Tensor& x,
                   Grid grid,
                   const Call& call,
                   Heads* heads) const override;

  /// What the head gets: tokens after the final norm, [B, h * w, D].
  at::Tensor tokens(const at::Tensor& image,
                    Positions positions,
                    const Call& call) const;
  const PoolingHead& head() const { return head_; }

 private:
  Linear patches_;
  at::Tensor table_;  // [g, g, D]
  std::vector<ClipBlock> blocks_;
  LayerNorm norm_;
  PoolingHead head_;
};

}  // namespace declip

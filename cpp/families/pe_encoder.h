#pragma once

#include <cstdint>
#include <vector>

#include "families/pooling_head.h"
#include "model/encoder.h"
#include "model/kept_rope.h"
#include "model/layers.h"

namespace declip {

/// Perception Encoder's image tower: CLIP's blocks with two-dimensional rotary
/// positions beside the learned ones, class token or none, and an attention
/// pooling head in front of the projection. Bolya et al., arXiv:2504.13181.
class PeCore final : public VisionEncoder, public Blocks {
 public:
  PeCore(const ModelConfig& config,
         const Weights& weights,
         const Numerics& numerics);

  at::Tensor class_features(const at::Tensor& image,
                            Positions positions,
                            const Call& call) const override;
  Stages stages(const at::Tensor& image,
                const StageOptions& options,
                const Call& call) const override;

  /// Input of block 0, [B, P + h * w, C], P = 1 with a class token.
  at::Tensor embed(const at::Tensor& image) const;
  /// What the head gets: tokens after the final norm, [B, P + h * w, C].
  at::Tensor tokens(const at::Tensor& image, const Call& call) const;
  int64_t depth() const override { return config_.vision.layers; }
  at::Tensor block(int64_t i,
                   const at::Tensor& x,
                   Grid grid,
                   const Call& call,
                   Heads* heads) const override;

 private:
  int64_t prefix() const { return config_.vision.class_token ? 1 : 0; }
  void rotate(Heads& heads, Grid grid) const;
  /// The pooling head under a dense mode, of tokens after the final norm.
  at::Tensor features(const at::Tensor& tokens,
                      Grid patches,
                      const DenseOptions& options) const;

  Linear patches_, proj_;
  at::Tensor class_;  // [C], its position added; undefined without
  at::Tensor table_;  // [N, N, C], positions of the patches
  LayerNorm ln_pre_, ln_post_;
  std::vector<ClipBlock> blocks_;
  PoolingHead head_;
  KeptRope rope_;
};

}  // namespace declip

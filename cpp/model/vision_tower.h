#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "declip/call.h"
#include "declip/config.h"
#include "model/layers.h"
#include "model/positions.h"
#include "model/walk.h"

namespace declip {

/// Where families differ although they share the control flow.
struct TowerTraits {
  bool rotary = false;  // rotate() turns q and k
  /// DeCLIP's own modes leave out 1 / sqrt(d), see Recipe::unscaled_on_eva.
  bool unscaled_self_attention = false;
  /// Regions are pooled from patches of unit length, as CLIPSelf and DeCLIP do
  /// on OpenAI's ViT; DeCLIP does not on EVA's.
  bool unit_patches = false;
};

/// A vision transformer whose blocks can be taken apart. Both families share
/// the control flow below and in dense_mode.cpp; a family supplies the pieces.
/// Immutable once loaded; every method may be called from several threads.
///
/// x, the residual stream, is [B, L, C] in the numerics' stream dtype; what the
/// norms give and the projections take has the dtype of the weights.
class VisionTower : public Blocks {
 public:
  const VisionConfig& config() const { return config_; }
  const Numerics& numerics() const { return numerics_; }
  const TowerTraits& traits() const { return traits_; }
  int64_t depth() const final { return config_.layers; }

  /// Patch grid of an H x W picture; pixels beyond whole patches are dropped.
  Grid grid(int64_t height, int64_t width) const {
    return {height / config_.patch, width / config_.patch};
  }

  /// image [B, 3, H, W] normalised -> input of block 0, [B, 1 + N, C].
  virtual at::Tensor embed(const at::Tensor& image,
                           Positions positions) const = 0;

  // The pieces of block i.
  virtual at::Tensor norm1(int64_t i, const at::Tensor& x) const = 0;
  /// Biases added, neither rotated nor scaled. The last block makes only what
  /// is wanted.
  virtual Heads project(int64_t i,
                        const at::Tensor& normed,
                        const Wanted& wanted) const = 0;
  /// Rotary positions of q and k where the family has them, in place if the
  /// layers are fused; a class query has none.
  virtual void rotate(Heads& heads, Grid grid) const = 0;
  /// Merged heads [B, L, C] -> attention branch (sub-LN, output projection,
  /// LayerScale), added to the residual if that is defined.
  virtual at::Tensor output(int64_t i,
                            const at::Tensor& merged,
                            const at::Tensor& residual) const = 0;
  /// x + MLP of norm2 of x.
  virtual at::Tensor feed_forward(int64_t i, const at::Tensor& x) const = 0;
  /// Final norm and projection to the shared space: [B, M, C] -> [B, M, E].
  at::Tensor finish(const at::Tensor& tokens) const {
    return to_shared_space(final_norm(tokens));
  }
  virtual at::Tensor final_norm(const at::Tensor& tokens) const = 0;
  virtual at::Tensor to_shared_space(const at::Tensor& normed) const = 0;

  /// One ordinary block.
  at::Tensor block(int64_t i,
                   const at::Tensor& x,
                   Grid grid,
                   const Call& call,
                   Heads* heads) const final;

  /// The last block and the projection of its class token, or of the mean of
  /// its patches (config().mean_of_patches): x is that block's input
  /// [B, 1 + N, C], the result [B, E], not normalised.
  at::Tensor class_features(const at::Tensor& x, Grid grid) const;

  /// Image embedding, [B, E], not normalised.
  at::Tensor encode_image(const at::Tensor& image,
                          Positions positions,
                          const Call& call) const;

 protected:
  VisionTower(VisionConfig config, const Numerics& numerics, TowerTraits traits)
      : config_(std::move(config)), numerics_(numerics), traits_(traits) {}

  /// Of the last block, dense modes want parts.
  Projection::Products products_of(int64_t i) const {
    return i + 1 == config_.layers ? Projection::Products::kSeparate
                                   : Projection::Products::kOne;
  }

  /// Class token and patches, each with its position: [B, 1 + N, C].
  at::Tensor tokens(const Linear& patches,
                    const at::Tensor& class_token,
                    const at::Tensor& positions,
                    const at::Tensor& image,
                    Positions rule) const;

  VisionConfig config_;
  Numerics numerics_;
  TowerTraits traits_;
};

/// OpenAI/OpenCLIP ViT from `visual.*` weights.
std::unique_ptr<VisionTower> make_plain_tower(const VisionConfig& config,
                                              const Weights& weights,
                                              const Numerics& numerics);
/// EVA02 ViT from `visual.*` weights.
std::unique_ptr<VisionTower> make_eva_tower(const VisionConfig& config,
                                            const Weights& weights,
                                            const Numerics& numerics);

}  // namespace declip

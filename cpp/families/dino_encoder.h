#pragma once

#include <cstdint>
#include <vector>

#include "families/block.h"
#include "families/positions.h"
#include "model/encoder.h"

namespace declip {

/// DINO's ViT: class token and patches, each with its position; ordinary
/// attention; a final norm. Caron et al., arXiv:2104.14294.
class Dino : public VisionEncoder, public Blocks {
 public:
  Dino(const ModelConfig& config,
       const Weights& weights,
       const Numerics& numerics)
      : Dino(config, weights, numerics, TableResize::kScaleFactor) {}

  /// The class token after the final norm.
  at::Tensor class_features(const at::Tensor& image,
                            Positions positions,
                            const Call& call) const override;
  Stages stages(const at::Tensor& image,
                const StageOptions& options,
                const Call& call) const override;

  /// Patches with what the class token of the last block thinks of them.
  struct Watched {
    at::Tensor features;  // [B, C, h, w], after the final norm
    /// [B, heads, h * w]: products of its query with their keys, as they are
    /// before positions turn them and without a factor.
    at::Tensor class_logits;
  };
  Watched watched(const at::Tensor& image, const Call& call) const;

  /// Input of block 0, [B, 1 + registers + h * w, C]. Registers stand behind
  /// the class token and have no position.
  at::Tensor embed(const at::Tensor& image) const;
  int64_t depth() const override { return config_.vision.layers; }
  at::Tensor block(int64_t i,
                   const at::Tensor& x,
                   Grid grid,
                   const Call& call,
                   Heads* heads) const override;

 protected:
  Dino(const ModelConfig& config,
       const Weights& weights,
       const Numerics& numerics,
       TableResize rule,
       Info info = {},
       const at::Tensor& head_order = {});

  /// Throws Error(kInvalidArg) for a picture that the model cannot take.
  virtual void check(const at::Tensor& image) const;
  /// The same for sides that are no multiples of the patch.
  void check_whole_patches(const at::Tensor& image) const;
  /// Brings positions into what a block attends with, if they belong there.
  virtual void turn(Heads&, Grid) const {}

  /// Tokens before the patches: class token and registers.
  int64_t prefix() const { return 1 + config_.foundation.registers; }
  const FoundationBlock& last() const { return blocks_.back(); }
  /// q + k of the last block's patches, [B, C, h, w], neither turned nor
  /// scaled: CorrCLIP's features, arXiv:2411.10086. x is that block's input.
  at::Tensor query_plus_key(const at::Tensor& x, Grid grid) const;
  /// Tokens after the last block -> patches after the final norm, [B, C, h, w].
  at::Tensor features(const at::Tensor& tokens, Grid grid) const;

 private:
  TableResize rule_;
  Linear patches_;
  at::Tensor class_;      // [C], its position added
  at::Tensor registers_;  // [R, C], or undefined
  at::Tensor table_;      // [N, N, C], positions of the patches, if they have
  std::vector<FoundationBlock> blocks_;
  LayerNorm norm_;
};

}  // namespace declip

#pragma once

#include <cstdint>
#include <vector>

#include "families/block.h"
#include "model/encoder.h"

namespace declip {

/// SAM's image encoder: tokens on a grid, attention within windows but for a
/// few global blocks, positions in the attention scores, and a convolutional
/// neck. Other sizes than the native one as in DeCLIP. Kirillov et al.,
/// arXiv:2304.02643.
class Sam final : public VisionEncoder, public Blocks {
 public:
  Sam(const ModelConfig& config,
      const Weights& weights,
      const Numerics& numerics);

  /// Throws Error(kWeights): there is no class token.
  at::Tensor class_features(const at::Tensor& image,
                            Positions positions,
                            const Call& call) const override;
  Stages stages(const at::Tensor& image,
                const StageOptions& options,
                const Call& call) const override;

  /// Input of block 0 of one picture, [1, h * w, C].
  at::Tensor embed(const at::Tensor& image) const;
  int64_t depth() const override { return config_.vision.layers; }
  /// x [1, h * w, C].
  at::Tensor block(int64_t i,
                   const at::Tensor& x,
                   Grid grid,
                   const Call& call,
                   Heads* heads) const override;

 private:
  struct Layers {
    FoundationBlock block;
    at::Tensor rows, columns;  // relative positions [2 a - 1, d]
    bool global;
  };

  at::Tensor neck(const at::Tensor& x, Grid grid) const;

  Linear patches_;
  at::Tensor table_;  // [N, N, C]
  std::vector<Layers> layers_;
  Linear conv1_;
  at::Tensor conv2_;
  LayerNorm norm1_, norm2_;
};

}  // namespace declip

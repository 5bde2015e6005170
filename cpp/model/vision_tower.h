#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "declip/call.h"
#include "declip/config.h"
#include "model/positions.h"

namespace declip {

/// Patch rows and columns of a picture.
struct Grid {
  int64_t h = 0;
  int64_t w = 0;
};

/// Projections of one block, [B, n, 1 + N, d] each: biases added, neither
/// rotated nor scaled.
struct Heads {
  at::Tensor q, k, v;
};

/// A vision transformer whose blocks can be taken apart. Both families share
/// the control flow below and in dense_mode.cpp; a family supplies the pieces.
/// Immutable once loaded; every method may be called from several threads.
class VisionTower {
 public:
  virtual ~VisionTower() = default;

  const VisionConfig& config() const { return config_; }
  virtual Family family() const = 0;

  /// Patch grid of an H x W picture; pixels beyond whole patches are dropped.
  Grid grid(int64_t height, int64_t width) const {
    return {height / config_.patch, width / config_.patch};
  }

  /// image [B, 3, H, W] normalised -> input of block 0, [B, 1 + N, C].
  virtual at::Tensor embed(const at::Tensor& image,
                           Positions positions) const = 0;

  // The pieces of block i; x and the results are [B, 1 + N, C].
  virtual at::Tensor norm1(int64_t i, const at::Tensor& x) const = 0;
  virtual Heads project(int64_t i, const at::Tensor& normed) const = 0;
  /// Values alone, [B, 1 + N, C]: what MaskCLIP passes on.
  virtual at::Tensor project_values(int64_t i,
                                    const at::Tensor& normed) const = 0;
  /// Rotary positions of q and k where the family has them.
  virtual void rotate(Heads& heads, Grid grid) const = 0;
  /// Merged heads [B, L, C] -> attention branch (sub-LN, output projection,
  /// LayerScale).
  virtual at::Tensor output(int64_t i, const at::Tensor& merged) const = 0;
  /// norm2 and MLP branch, without the residual.
  virtual at::Tensor feed_forward(int64_t i, const at::Tensor& x) const = 0;
  /// Final norm and projection to the shared space: [B, M, C] -> [B, M, E].
  virtual at::Tensor finish(const at::Tensor& tokens) const = 0;

  /// One ordinary block: x + attention, then + MLP.
  at::Tensor block(int64_t i, const at::Tensor& x, Grid grid) const;

  /// Image embedding of the class token, [B, E], not normalised.
  at::Tensor encode_image(const at::Tensor& image,
                          Positions positions,
                          const Call& call) const;

 protected:
  explicit VisionTower(VisionConfig config) : config_(std::move(config)) {}
  VisionConfig config_;
};

/// [B, L, C] -> [B, n, L, C/n].
at::Tensor split_heads(const at::Tensor& x, int64_t heads);
/// [B, n, L, d] -> [B, L, n*d].
at::Tensor merge_heads(const at::Tensor& x);

using Weights = std::map<std::string, at::Tensor>;

/// OpenAI/OpenCLIP ViT from `visual.*` weights.
std::unique_ptr<VisionTower> make_plain_tower(const VisionConfig& config,
                                              const Weights& weights);
/// EVA02 ViT from `visual.*` weights.
std::unique_ptr<VisionTower> make_eva_tower(const VisionConfig& config,
                                            const Weights& weights);

}  // namespace declip

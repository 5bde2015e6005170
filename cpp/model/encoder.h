#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "declip/call.h"
#include "declip/config.h"
#include "declip/dense.h"
#include "model/layers.h"
#include "model/walk.h"
#include "model/weights.h"

namespace declip {

/// From pixels to features: what a model of any family has. Immutable once
/// loaded; every method may be called from several threads.
///
/// Images are [B, 3, H, W] on the weights' device, normalised with
/// config().pixels, in the numerics' stream dtype.
class VisionEncoder {
 public:
  struct Info {
    /// Dense modes that the model has. Without any, patches are made in one way
    /// and dense options mean nothing.
    std::span<const DenseMode> dense_modes = {};
    /// What regions are pooled from, unless the caller says: patches of unit
    /// length (CLIPSelf, DeCLIP's plain towers), or as they come.
    bool pools_unit_patches = false;
  };

  virtual ~VisionEncoder() = default;

  const ModelConfig& config() const { return config_; }
  const Numerics& numerics() const { return numerics_; }
  const Info& info() const { return info_; }

  /// Patch grid of an H x W picture; pixels beyond whole patches are dropped.
  Grid grid(int64_t height, int64_t width) const {
    const int64_t patch = config_.vision.patch;
    return {height / patch, width / patch};
  }

  /// Throws Error(kInvalidArg) that lists the model's modes if it has some, and
  /// not this one.
  void check_mode(DenseMode mode) const;

  /// The picture as a whole, [B, E], not normalised.
  /// Throws Error(kWeights) where the model has no such vector (SAM).
  virtual at::Tensor class_features(const at::Tensor& image,
                                    Positions positions,
                                    const Call& call) const = 0;

  /// Patches after any blocks, and patch features, in one pass that ends with
  /// the last block asked for.
  /// Throws Error(kInvalidArg) for blocks that the model does not have, and for
  /// dense options that do not fit it.
  virtual Stages stages(const at::Tensor& image,
                        const StageOptions& options,
                        const Call& call) const = 0;

  /// Patch features [B, E, h, w], not normalised, of the last block under
  /// another mode than the pass had that gave `before`: what stages() says of
  /// the block before the last. The blocks up to there are shared.
  /// Throws Error(kInvalidArg) for modes that look at earlier blocks or at
  /// other features, and for models without dense modes.
  virtual at::Tensor features_after(const Stage& before, DenseMode mode) const;

  /// Patch features [B, E, h, w], not normalised.
  at::Tensor patches(const at::Tensor& image,
                     const DenseOptions& options,
                     const Call& call) const;

 protected:
  VisionEncoder(ModelConfig config, const Numerics& numerics, Info info)
      : config_(std::move(config)), numerics_(numerics), info_(info) {}

  ModelConfig config_;
  Numerics numerics_;
  Info info_;
};

/// Keeps the tokens after the blocks that a caller asked for.
class StageTap final : public Tap {
 public:
  /// prefix: tokens before the patches.
  /// Throws Error(kInvalidArg) for a block that is not 0..depth - 1.
  StageTap(const std::vector<int64_t>& blocks,
           int64_t depth,
           int64_t prefix,
           Grid grid);

  /// Blocks that have to run: one more than the last asked for.
  int64_t end() const;
  at::Tensor after(int64_t i, const at::Tensor& x) override;
  /// In the order asked for.
  std::vector<Stage> take() { return std::move(stages_); }

 private:
  std::vector<int64_t> blocks_;
  int64_t prefix_;
  Grid grid_;
  std::vector<Stage> stages_;
};

}  // namespace declip

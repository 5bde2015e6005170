#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <utility>

#include "declip/call.h"
#include "declip/config.h"
#include "model/layers.h"
#include "model/weights.h"

namespace declip {

/// A vision foundation model: what DeCLIP's training takes its context from,
/// and what ProxyCLIP attends with. Inference only. Immutable once loaded.
class Teacher {
 public:
  virtual ~Teacher() = default;

  const ModelConfig& config() const { return config_; }
  const Numerics& numerics() const { return numerics_; }

  /// image [B, 3, H, W], normalised with config().pixels, in the numerics'
  /// stream dtype on the weights' device -> patch features [B, C, h, w], as
  /// the authors' code gives them: after the final norm, or SAM's neck.
  virtual at::Tensor features(const at::Tensor& image,
                              const Call& call) const = 0;
  /// The class token after the final norm, [B, C].
  /// Throws Error(kWeights) where the model has none (SAM).
  virtual at::Tensor class_token(const at::Tensor& image,
                                 const Call& call) const = 0;

 protected:
  Teacher(ModelConfig config, const Numerics& numerics)
      : config_(std::move(config)), numerics_(numerics) {}

  ModelConfig config_;
  Numerics numerics_;
};

/// DINO, DINOv2 or SAM from `visual.*` weights, by config.family.
std::unique_ptr<Teacher> make_teacher(const ModelConfig& config,
                                      const Weights& weights,
                                      const Numerics& numerics);

}  // namespace declip

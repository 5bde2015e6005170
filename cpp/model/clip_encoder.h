#pragma once

#include <memory>

#include "model/encoder.h"
#include "model/vision_tower.h"

namespace declip {

/// A CLIP tower, whose last block a dense mode may change.
class ClipEncoder final : public VisionEncoder {
 public:
  ClipEncoder(const ModelConfig& config,
              std::unique_ptr<const VisionTower> tower);

  at::Tensor class_features(const at::Tensor& image,
                            Positions positions,
                            const Call& call) const override;
  Stages stages(const at::Tensor& image,
                const StageOptions& options,
                const Call& call) const override;
  at::Tensor features_after(const Stage& before, DenseMode mode) const override;

 private:
  std::unique_ptr<const VisionTower> tower_;
};

/// OpenAI/OpenCLIP ViT from `visual.*` weights.
std::unique_ptr<VisionEncoder> make_plain_encoder(const ModelConfig& config,
                                                  const Weights& weights,
                                                  const Numerics& numerics);
/// EVA02 ViT from `visual.*` weights.
std::unique_ptr<VisionEncoder> make_eva_encoder(const ModelConfig& config,
                                                const Weights& weights,
                                                const Numerics& numerics);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <map>
#include <string>

#include "declip/train.h"
#include "model/text_tower.h"
#include "model/vision_tower.h"
#include "train/random.h"
#include "train/trunk.h"

namespace declip {

/// The towers of a step; what an objective does not use may be null.
struct Towers {
  const VisionTower* student = nullptr;  // made of what learns
  const VisionTower* teacher = nullptr;
  const TextTower* text = nullptr;  // made of what learns
  at::Tensor logit_scale;           // [], as stored: the logarithm
  /// Rows [B, E] of this batch to those of all ranks' batches; may be empty.
  std::function<at::Tensor(const at::Tensor&)> gather{};
};

/// Every name that objective_losses() gives.
inline constexpr std::array kLossNames{
    "content", "context", "contrastive", "cosine", "region_text"};

/// Throws Error(kInvalidArg) unless a batch has what its objective needs.
void check_batch(const TrainBatch& batch,
                 const TrainOptions& options,
                 const ModelConfig& config);

/// Weighted losses of a batch by name, float32 scalars with a graph that
/// reaches down to trunk.output(): 'cosine' (CLIPSelf); 'content' and
/// 'context' (DeCLIP); 'region_text'; 'contrastive', with 'region_text' if the
/// batch has boxes.
std::map<std::string, at::Tensor> objective_losses(const Towers& towers,
                                                   const Trunk& trunk,
                                                   const TrainBatch& batch,
                                                   const TrainOptions& options,
                                                   SplitMix& random,
                                                   const Call& call);

/// Unit features of the valid boxes [K, E]: RoIAlign of the student's dense
/// features. The plain tower, and CLIPSelf on both, normalise every token
/// first. `heads` as in finish_dense().
at::Tensor region_features(const VisionTower& student,
                           const Trunk& trunk,
                           const at::Tensor& boxes,
                           const TrainOptions& options,
                           Heads* heads);

}  // namespace declip

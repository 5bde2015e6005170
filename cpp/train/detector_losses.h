#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "declip/train_detector.h"
#include "train/detector_heads.h"
#include "train/random.h"

namespace declip {

/// Every name that detector_losses() gives.
inline constexpr std::array kDetectorLossNames{
    "rpn_cls", "rpn_bbox", "cls", "bbox", "mask"};

/// What a batch's losses are made of besides the heads and their maps.
struct DetectorLossContext {
  const DetectorTrainOptions* options = nullptr;
  std::vector<double> strides;  // of F0..F4
  at::Tensor words;             // unit rows [K + 1, E], the background last
  at::Tensor learned;      // int64: rows of `words` that take part, background
                           // included
  at::Tensor weights;      // float32, of those rows
  at::Tensor temperature;  // tau_det, [] with a gradient
  /// Of one step, the same on all ranks; samplers draw from forks of it by the
  /// pictures' own seeds.
  SplitMix random{0};
  GatherNumbers gather;  // empty: one rank
};

/// What happens on the way, for tests.
struct DetectorTrace {
  std::vector<at::Tensor> rpn_cls, rpn_bbox;  // losses of levels
  std::vector<at::Tensor> proposals;          // of pictures: [P, 5] with scores
  std::vector<at::Tensor> anchors, boxes;     // assigned, int64; of pictures
  at::Tensor rois, labels, targets;           // [N, 5], [N], [N, 4]
  at::Tensor logits, deltas;                  // [N, learned], [N, 4]
  at::Tensor mask_logits, mask_targets;  // [M, 1, 28, 28], bool [M, 28, 28]
};

/// Losses of a batch by name, float32 scalars with a graph: of all ranks'
/// batches together, of which each has its own part; their sum over ranks is
/// the loss. Averages are over sampled anchors, sampled boxes and pixels of
/// sampled masks, as in F-ViT on mmdetection.
std::map<std::string, at::Tensor> detector_losses(
    const RecordedHeads& heads,
    const std::vector<at::Tensor>& maps,
    const DetectorBatch& batch,
    const DetectorLossContext& context,
    const Call& call,
    DetectorTrace* trace = nullptr);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "declip/size.h"

namespace declip {

/// What deltas are divided by: of the RPN, and of the box head.
inline constexpr std::array<double, 4> kRpnDeviations{1, 1, 1, 1};
inline constexpr std::array<double, 4> kBoxDeviations{0.1, 0.1, 0.2, 0.2};

/// Anchors of a level: [h * w * 3, 4] xyxy in pixels, order row, column, ratio
/// (0.5, 1, 2), 8 strides large, centred on (x stride, y stride).
at::Tensor make_anchors(int64_t h, int64_t w, double stride);

/// boxes [N, 4] moved by deltas [N, 4], clipped to a picture (mmdetection's
/// DeltaXYWHBBoxCoder). float32.
at::Tensor decode_boxes(const at::Tensor& boxes,
                        const at::Tensor& deltas,
                        const std::array<double, 4>& deviations,
                        Size picture);
/// What decode_boxes() takes from `boxes` to `targets`.
at::Tensor encode_boxes(const at::Tensor& boxes,
                        const at::Tensor& targets,
                        const std::array<double, 4>& deviations);

struct ProposalLimits {
  int64_t per_level = 2000;
  int64_t keep = 1000;
  double nms = 0.7;
};

struct Proposals {
  at::Tensor boxes;   // float32 [P, 4], best first
  at::Tensor scores;  // [P]
  at::Tensor levels;  // int64 [P]
};

/// Of one picture: logits [3, h, w] and deltas [12, h, w] of every level.
Proposals propose(const std::vector<at::Tensor>& logits,
                  const std::vector<at::Tensor>& deltas,
                  const std::vector<double>& strides,
                  Size picture,
                  const ProposalLimits& limits);

/// The level a box is pooled from, 0..levels - 1, int64 [N]: 0 for boxes of up
/// to 112 pixels (the root of their area), one more for every doubling.
at::Tensor roi_levels(const at::Tensor& boxes, int64_t levels);

/// RoIAlign, aligned and adaptive, each box from its level: maps [B, C, h, w],
/// boxes float32 [N, 4] in pixels, pictures int64 [N] -> [N, C, out, out] in
/// channels-last memory. Differentiable in the maps. Errors as
/// roi_align_levels().
at::Tensor pool_boxes_of_levels(const std::vector<at::Tensor>& maps,
                                const std::vector<double>& strides,
                                const at::Tensor& boxes,
                                const at::Tensor& pictures,
                                int64_t out);

/// p_det^(1-a) p_vote^a, a = alpha for base classes and the background, beta
/// for novel ones: [P, K + 1]. Softmaxes are over all words; the score of a
/// class is that of its best word, whose two probabilities count together.
/// Words as in DetectorQuestion; `embeddings` and `votes` of unit length. A row
/// of either that holds a NaN has NaN scores, which choose_objects() drops.
at::Tensor combined_scores(const at::Tensor& embeddings,
                           const at::Tensor& votes,
                           const at::Tensor& words,
                           const at::Tensor& word_class,
                           const at::Tensor& novel,
                           double alpha,
                           double beta,
                           double temperature,
                           double vote_temperature);

struct Kept {
  at::Tensor boxes;   // float32 [N, 4], best first
  at::Tensor scores;  // [N]
  at::Tensor labels;  // int64 [N]
  at::Tensor rows;    // int64 [N], of the boxes that came
};

/// Threshold (strict), suppression within each class, limit over all of them:
/// boxes [P, 4] in pixels of the picture, scores [P, K + 1] with the background
/// last. A box may be chosen for several classes. NaN scores and boxes that are
/// not finite are dropped.
Kept choose_objects(const at::Tensor& boxes,
                    const at::Tensor& scores,
                    double score_threshold,
                    double nms_threshold,
                    int64_t limit);

}  // namespace declip

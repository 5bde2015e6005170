#include <ATen/ATen.h>

#include "declip/error.h"
#include "detect/boxes.h"
#include "kernels/nms.h"
#include "kernels/score_order.h"

namespace declip {
namespace {

/// [A, h, w] -> [h * w * A] with A fastest; no copy of a channels-last map.
at::Tensor by_place(const at::Tensor& map) {
  return map.permute({1, 2, 0}).reshape({-1});
}

void check_level(const at::Tensor& logits, const at::Tensor& deltas) {
  if (logits.dim() == 3 && deltas.dim() == 3 &&
      deltas.size(0) == 4 * logits.size(0) && logits.size(0) == 3 &&
      deltas.size(1) == logits.size(1) && deltas.size(2) == logits.size(2)) {
    return;
  }
  throw Error(ErrorCode::kInternal,
              "An RPN gives 3 logits and 12 deltas for every place of a map.");
}

}  // namespace

Proposals propose(const std::vector<at::Tensor>& logits,
                  const std::vector<at::Tensor>& deltas,
                  const std::vector<double>& strides,
                  Size picture,
                  const ProposalLimits& limits) {
  if (logits.size() != deltas.size() || logits.size() != strides.size()) {
    throw Error(ErrorCode::kInternal, "Every level has logits and deltas.");
  }
  std::vector<at::Tensor> boxes, scores, levels;
  for (size_t level = 0; level < logits.size(); ++level) {
    check_level(logits[level], deltas[level]);
    auto score = by_place(logits[level].detach().to(at::kFloat)).sigmoid();
    auto moves = by_place(deltas[level].detach().to(at::kFloat)).view({-1, 4});
    auto anchors = make_anchors(
        logits[level].size(1), logits[level].size(2), strides[level]);
    if (score.size(0) > limits.per_level) {
      const auto best = order_by_score(score, limits.per_level);
      score = score.index_select(0, best);
      moves = moves.index_select(0, best);
      anchors = anchors.index_select(0, best.to(at::kCPU));
    }
    boxes.push_back(decode_boxes(
        anchors.to(score.device()), moves, kRpnDeviations, picture));
    scores.push_back(score);
    levels.push_back(at::full({score.size(0)},
                              static_cast<int64_t>(level),
                              score.options().dtype(at::kLong)));
  }
  auto all = at::cat(boxes), score = at::cat(scores), level = at::cat(levels);
  // Negated or NaN sides fail as well.
  const auto sides = all.slice(1, 2, 4) - all.slice(1, 0, 2);
  const auto solid = sides.gt(0)
                         .all(1)
                         .logical_and_(score.isnan().logical_not())
                         .nonzero()
                         .squeeze(1);
  all = all.index_select(0, solid);
  score = score.index_select(0, solid);
  level = level.index_select(0, solid);
  // mmcv compares float32 overlaps with a float32 threshold.
  const auto kept =
      nms(all, score, static_cast<float>(limits.nms), level, limits.keep);
  return {all.index_select(0, kept),
          score.index_select(0, kept),
          level.index_select(0, kept)};
}

}  // namespace declip

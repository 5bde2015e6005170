#include "declip/detector.h"

namespace declip {

std::vector<double> DetectorConfig::strides() const {
  const auto side = static_cast<double>(patch);
  return {side / 4, side / 2, side, 2 * side, 4 * side};
}

int64_t DetectorView::bytes() const {
  size_t bytes = 0;
  for (const auto& map : maps) bytes += map.nbytes();
  for (const auto* tensor :
       {&proposals, &proposal_scores, &embeddings, &votes, &deltas}) {
    if (tensor->defined()) bytes += tensor->nbytes();
  }
  return static_cast<int64_t>(bytes);
}

}  // namespace declip

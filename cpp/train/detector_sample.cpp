#include "train/detector_sample.h"

#include <algorithm>
#include <utility>

namespace declip {

Sampled sample_boxes(const std::vector<int64_t>& assigned,
                     int64_t count,
                     double positive_share,
                     SplitMix& random) {
  Sampled out;
  for (size_t i = 0; i < assigned.size(); ++i) {
    if (assigned[i] > 0) out.positive.push_back(static_cast<int64_t>(i));
    if (assigned[i] == 0) out.negative.push_back(static_cast<int64_t>(i));
  }
  const auto choose = [&](std::vector<int64_t>& rows, int64_t limit) {
    if (static_cast<int64_t>(rows.size()) <= limit) return;
    rows = random.sample(std::move(rows), limit);
    std::sort(rows.begin(), rows.end());
  };
  choose(out.positive,
         static_cast<int64_t>(static_cast<double>(count) * positive_share));
  choose(out.negative, count - static_cast<int64_t>(out.positive.size()));
  return out;
}

}  // namespace declip

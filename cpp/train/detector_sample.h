#pragma once

#include <cstdint>
#include <vector>

#include "train/random.h"

namespace declip {

/// Rows that a loss is made of, each list rising.
struct Sampled {
  std::vector<int64_t> positive, negative;
};

/// `count` of the assigned boxes (see assign_boxes()), at most a share of
/// `positive_share` of them positive, rounded down, the rest background
/// (mmdetection's RandomSampler); all where there are fewer. What is neither is
/// never taken.
Sampled sample_boxes(const std::vector<int64_t>& assigned,
                     int64_t count,
                     double positive_share,
                     SplitMix& random);

}  // namespace declip

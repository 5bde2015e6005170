#pragma once

#include "kernels/exp_math.h"
#include "kernels/host_device.h"

namespace declip {

/// log p^(1 - share) q^share of logits a and b, from the logarithms of the sums
/// of both softmaxes; at most 0 but for rounding.
DECLIP_HD float vote_log_score(
    float a, float b, float log_sum_a, float log_sum_b, float share) {
  return (1.0f - share) * (a - log_sum_a) + share * (b - log_sum_b);
}

/// Its exponential.
DECLIP_HD float vote_score(float log_score) {
  return exp_negative(log_score < 0.0f ? log_score : 0.0f);
}

}  // namespace declip

#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/exp_math.h"
#include "kernels/host_device.h"

namespace declip {

/// Running softmax statistics of one pixel.
struct WordScore {
  float best;
  float sum;
  int32_t label;
};

/// Adds a word of class `label` with logit z; one exponential, no branches.
DECLIP_HD WordScore add_score(WordScore score,
                              float z,
                              int32_t label,
                              float scale) {
  const bool above = z > score.best;
  const bool first_of_equals = (z == score.best) & (label < score.label);
  const float ratio = exp_negative(-std::fabs(z - score.best) * scale);
  const float rescaled = score.sum * ratio + 1.0f;
  const float added = score.sum + ratio;
  return {above ? z : score.best,
          above ? rescaled : added,
          (above | first_of_equals) ? label : score.label};
}

/// Softmax of the largest logit z of a class.
DECLIP_HD float score_probability(float z, float best, float sum, float scale) {
  return exp_negative((z - best) * scale) / sum;
}

}  // namespace declip

#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/exp_math.h"
#include "kernels/host_device.h"
#include "kernels/postprocess_args.h"

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

/// exp(scale (z - best)) for any z; infinite where it is beyond float32, so
/// that what is divided by the sum becomes 0.
DECLIP_HD float left_out_share(float z, float best, float scale) {
  const float ratio = exp_negative(-std::fabs(z - best) * scale);
  return z > best ? 1.0f / ratio : ratio;
}

/// Softmax of the largest logit z of a class.
DECLIP_HD float score_probability(float z, float best, float sum, float scale) {
  return exp_negative((z - best) * scale) / sum;
}

/// The probability of the best word, 1 / sum, as 255 times its root: with many
/// words it is small, and the root keeps more of it. 1..255, as there are at
/// most 65536 words' worth of others.
DECLIP_HD uint8_t code_certainty(float sum) {
  const float root = 255.0f / std::sqrt(sum) + 0.5f;
  return static_cast<uint8_t>(static_cast<int32_t>(root > 1.0f ? root : 1.0f));
}

/// Puts a class into one rank of a pixel and takes out what falls to the next.
DECLIP_HD void insert_rank(float& rank_logit,
                           uint16_t& rank_label,
                           float& logit,
                           uint16_t& label) {
  const bool above = logit > rank_logit;
  const float lower_logit = above ? rank_logit : logit;
  const uint16_t lower_label = above ? rank_label : label;
  rank_logit = above ? logit : rank_logit;
  rank_label = above ? label : rank_label;
  logit = lower_logit;
  label = lower_label;
}

/// The best rank of pixel i whose class is kept; whether there is one.
DECLIP_HD bool choose_rank(const ClassRanks& ranks,
                           int64_t i,
                           const uint8_t* keep,
                           float& chosen,
                           int32_t& label) {
  chosen = -INFINITY;
  label = 0;
  for (int64_t r = 0; r < kRanks; ++r) {
    const float logit = ranks.logit[r * ranks.pixels + i];
    if (!(logit > -INFINITY)) break;
    const uint16_t number = ranks.label[r * ranks.pixels + i];
    if (keep[number] == 0) continue;
    chosen = logit;
    label = number;
    return true;
  }
  return false;
}

}  // namespace declip

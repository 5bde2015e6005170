#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/dense_attention_args.h"
#include "kernels/exp_math.h"
#include "kernels/host_device.h"

namespace declip {

/// The score of a key that takes no part.
constexpr float kNoScore = -INFINITY;

/// exp(-d^2 / 2 std^2), what NACLIP's prior gives patches d apart on one axis.
DECLIP_HD float gaussian(int64_t d, double std) {
  return static_cast<float>(
      std::exp(-static_cast<double>(d * d) / (2.0 * std * std)));
}

/// What the prior adds to a score, as one Gaussian of the distance; token 0 is
/// the class token. decay is 1 / (2 std^2).
DECLIP_HD float neighbour_score(int64_t query,
                                int64_t key,
                                int64_t columns,
                                float decay) {
  if (query == 0 || key == 0) return 0.0f;
  const int64_t dy = (query - 1) / columns - (key - 1) / columns;
  const int64_t dx = (query - 1) % columns - (key - 1) % columns;
  return exp_negative(-static_cast<float>(dy * dy + dx * dx) * decay);
}

/// A score after the prior: shifted, or none.
DECLIP_HD float final_score(float score, float shift, bool hidden) {
  return hidden ? kNoScore : score + shift;
}

/// Whether a query of group `own` sees a key of group `other`, see GroupScope.
DECLIP_HD bool in_scope(int32_t own,
                        int32_t other,
                        float score,
                        float threshold) {
  const bool open = own == kNoGroup || other == kNoGroup;
  return (open ? score > threshold : own == other) || other == kEveryGroup;
}

/// Whether the negative scores of a row are left out: not where all are
/// negative, so that no row is without a key.
DECLIP_HD bool leaves_out(bool drop_negative, float largest) {
  return drop_negative && largest >= 0.0f;
}

/// Softmax over scores that come in pieces: what was summed under the maximum
/// `before` is multiplied by this when `largest` takes its place.
DECLIP_HD float rescale(float before, float largest, bool drop_negative) {
  if (before == largest) return 1.0f;
  return before < 0.0f && leaves_out(drop_negative, largest)
             ? 0.0f
             : exp_negative(before - largest);
}

/// exp(score - largest); 0 for kNoScore and for what is left out.
DECLIP_HD float share(float score, float largest, bool drop_negative) {
  return score == kNoScore ||
                 (score < 0.0f && leaves_out(drop_negative, largest))
             ? 0.0f
             : exp_negative(score - largest);
}

}  // namespace declip

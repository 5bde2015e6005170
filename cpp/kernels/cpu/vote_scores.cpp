// A row of both inputs stays in the first-level cache for its maxima, its sums
// and the result: 3 exponentials, about 60 operations, for a word, 8 bytes read
// and 4 written. Rows in parallel. With several words a class, logarithms are
// compared and one exponential is taken of each class.

#include <ATen/Parallel.h>
#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/vote_scores_args.h"
#include "kernels/vote_scores_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

using VoteVec = at::vec::Vectorized<float>;

/// logits = factor * cosines; returns the logarithm of the sum of their
/// exponentials, NaN if one of them is.
float log_sum(const float* __restrict cosines,
              int64_t count,
              float factor,
              float* __restrict logits,
              float* __restrict powers) {
  for (int64_t i = 0; i < count; ++i) logits[i] = factor * cosines[i];
  const float largest = at::vec::reduce_all<float>(
      [](VoteVec& a, VoteVec& b) { return at::vec::maximum(a, b); },
      logits,
      count);
  if (std::isnan(largest)) return largest;
  for (int64_t i = 0; i < count; ++i) {
    powers[i] = exp_negative(logits[i] - largest);
  }
  const float sum = at::vec::reduce_all<float>(
      [](VoteVec& a, VoteVec& b) { return a + b; }, powers, count);
  return largest + std::log(sum);
}

}  // namespace

void vote_scores(const VoteScoresArgs& args) {
  const int64_t words = args.words, classes = args.classes;
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  at::parallel_for(0, args.rows, 8, [&](int64_t begin, int64_t end) {
    std::vector<float> buffer(3 * words);
    float* __restrict a = buffer.data();
    float* __restrict b = a + words;
    float* __restrict rest = b + words;
    const float* __restrict shares = args.shares;
    for (int64_t row = begin; row < end; ++row) {
      float* __restrict out = args.out + row * classes;
      const float log_a =
          log_sum(args.cosines + row * words, words, args.temperature, a, rest);
      const float log_b = log_sum(
          args.votes + row * words, words, args.vote_temperature, b, rest);
      if (std::isnan(log_a) || std::isnan(log_b)) {
        std::fill_n(out, classes, std::numeric_limits<float>::quiet_NaN());
        continue;
      }
      if (args.word_class == nullptr) {
        for (int64_t i = 0; i < words; ++i) {
          out[i] =
              vote_score(vote_log_score(a[i], b[i], log_a, log_b, shares[i]));
        }
        continue;
      }
      std::fill_n(out, classes, kLowest);
      for (int64_t i = 0; i < words; ++i) {
        const int64_t c = args.word_class[i];
        const float score = vote_log_score(a[i], b[i], log_a, log_b, shares[c]);
        out[c] = std::max(out[c], score);
      }
      for (int64_t c = 0; c < classes; ++c) out[c] = vote_score(out[c]);
    }
  });
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

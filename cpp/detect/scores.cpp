#include <ATen/ATen.h>

#include <algorithm>

#include "declip/error.h"
#include "detect/boxes.h"
#include "kernels/vote_scores.h"

namespace declip {
namespace {

/// Boxes whose cosines with every word exist at a time; on the CPU few enough
/// for a core's cache.
constexpr int64_t kScoredOnCpu = 64;
constexpr int64_t kScored = 4096;

}  // namespace

at::Tensor combined_scores(const at::Tensor& embeddings,
                           const at::Tensor& votes,
                           const at::Tensor& words,
                           const at::Tensor& word_class,
                           const at::Tensor& novel,
                           double alpha,
                           double beta,
                           double temperature,
                           double vote_temperature) {
  const auto device = embeddings.device();
  const auto list = words.to(device, at::kFloat);
  at::Tensor class_of;
  int64_t background = list.size(0) - 1;
  if (word_class.defined()) {
    class_of = word_class.to(device, at::kLong).contiguous();
    background = class_of.max().item<int64_t>();
  }
  if (embeddings.dim() != 2 || embeddings.sizes() != votes.sizes() ||
      list.size(1) != embeddings.size(1) ||
      (class_of.defined() && class_of.size(0) != list.size(0)) ||
      (novel.defined() && novel.size(0) != background) ||
      !(alpha >= 0 && alpha <= 1 && beta >= 0 && beta <= 1)) {
    throw Error(ErrorCode::kInvalidArg,
                "Scores take an embedding and a vote [P, E] for every box, "
                "words [W, E] with a class each, which classes are novel, and "
                "exponents in 0..1.");
  }
  auto shares = at::full({background + 1}, alpha, list.options());
  if (novel.defined()) {
    shares.slice(0, 0, background)
        .masked_fill_(novel.to(device, at::kBool), beta);
  }
  const int64_t count = embeddings.size(0);
  const int64_t step =
      std::min(count, embeddings.is_cpu() ? kScoredOnCpu : kScored);
  const auto columns = list.t();
  const auto left = embeddings.to(at::kFloat), right = votes.to(at::kFloat);
  const auto scores = at::empty({count, background + 1}, list.options());
  const auto cosines = at::empty({2, step, list.size(0)}, list.options());
  for (int64_t from = 0; from < count; from += step) {
    const int64_t to = std::min(count, from + step);
    auto own = cosines[0].slice(0, 0, to - from);
    auto given = cosines[1].slice(0, 0, to - from);
    at::mm_out(own, left.slice(0, from, to), columns);
    at::mm_out(given, right.slice(0, from, to), columns);
    vote_scores_out(own,
                    given,
                    class_of,
                    shares,
                    temperature,
                    vote_temperature,
                    scores.slice(0, from, to));
  }
  return scores;
}

}  // namespace declip

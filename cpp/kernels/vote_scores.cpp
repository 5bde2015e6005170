#include "kernels/vote_scores.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "kernels/cuda/on_device.h"
#include "kernels/vote_scores_args.h"

namespace declip {

void vote_scores_out(const at::Tensor& cosines,
                     const at::Tensor& votes,
                     const at::Tensor& word_class,
                     const at::Tensor& shares,
                     double temperature,
                     double vote_temperature,
                     const at::Tensor& out) {
  const int64_t words = cosines.size(1), classes = shares.size(0);
  if (cosines.sizes() != votes.sizes() || !cosines.is_contiguous() ||
      !votes.is_contiguous() || !out.is_contiguous() ||
      out.size(0) != cosines.size(0) || out.size(1) != classes ||
      (word_class.defined() ? word_class.size(0) : classes) != words) {
    throw Error(ErrorCode::kInternal,
                "vote_scores(): every row has a cosine and a vote for each "
                "word, every class a share.");
  }
  VoteScoresArgs args;
  args.cosines = cosines.const_data_ptr<float>();
  args.votes = votes.const_data_ptr<float>();
  if (word_class.defined())
    args.word_class = word_class.const_data_ptr<int64_t>();
  args.shares = shares.const_data_ptr<float>();
  args.rows = cosines.size(0);
  args.words = words;
  args.classes = classes;
  args.temperature = static_cast<float>(temperature);
  args.vote_temperature = static_cast<float>(vote_temperature);
  args.out = out.mutable_data_ptr<float>();
  if (out.numel() > 0) DECLIP_RUN_TWIN(cosines, vote_scores, args);
}

at::Tensor vote_scores(const at::Tensor& cosines,
                       const at::Tensor& votes,
                       const at::Tensor& word_class,
                       const at::Tensor& shares,
                       double temperature,
                       double vote_temperature) {
  const auto out =
      at::empty({cosines.size(0), shares.size(0)}, cosines.options());
  vote_scores_out(
      cosines, votes, word_class, shares, temperature, vote_temperature, out);
  return out;
}

}  // namespace declip

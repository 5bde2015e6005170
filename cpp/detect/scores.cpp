#include <ATen/ATen.h>

#include "declip/error.h"
#include "detect/boxes.h"

namespace declip {

at::Tensor combined_scores(const at::Tensor& embeddings,
                           const at::Tensor& votes,
                           const at::Tensor& words,
                           const at::Tensor& word_class,
                           const at::Tensor& novel,
                           double alpha,
                           double beta,
                           double temperature,
                           double vote_temperature) {
  const int64_t count = words.size(0);
  const auto class_of =
      word_class.defined()
          ? word_class.to(words.device(), at::kLong)
          : at::arange(count, words.options().dtype(at::kLong));
  const int64_t background = class_of.max().item<int64_t>();
  auto shares = at::full({background + 1}, alpha, words.options());
  if (novel.defined()) {
    shares.slice(0, 0, background)
        .masked_fill_(novel.to(words.device(), at::kBool), beta);
  }
  const auto share = shares.index_select(0, class_of);
  const auto logs = [&](const at::Tensor& rows, double factor) {
    return at::log_softmax(at::matmul(rows.to(at::kFloat), words.t()) * factor,
                           1);
  };
  const auto score = ((1 - share) * logs(embeddings, temperature) +
                      share * logs(votes, vote_temperature))
                         .exp();
  if (!word_class.defined()) return score;
  return at::zeros({score.size(0), background + 1}, score.options())
      .scatter_reduce(
          1, class_of.unsqueeze(0).expand_as(score), score, "amax", false);
}

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

namespace declip {

/// Two softmaxes over the same words and their weighted geometric mean:
/// p^(1 - share) q^share, where p = softmax(temperature * cosines) and q that
/// of the votes; of each class its best word, whose p and q count together.
/// The sums are those of F-ViT's box head (github.com/wusize/CLIPSelf, folder
/// F-ViT), in logarithms.
///
/// cosines, votes  float32 [P, W]
/// word_class      int64 [W], 0..C - 1; undefined: word i is class i
/// shares          float32 [C], 0..1
/// Returns float32 [P, C]; 0 for a class without words. A row with a NaN is NaN
/// altogether.
at::Tensor vote_scores(const at::Tensor& cosines,
                       const at::Tensor& votes,
                       const at::Tensor& word_class,
                       const at::Tensor& shares,
                       double temperature,
                       double vote_temperature);

/// Into `out`.
void vote_scores_out(const at::Tensor& cosines,
                     const at::Tensor& votes,
                     const at::Tensor& word_class,
                     const at::Tensor& shares,
                     double temperature,
                     double vote_temperature,
                     const at::Tensor& out);

}  // namespace declip

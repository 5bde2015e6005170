#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace declip {

/// Classes' features mixed with those of their definitions or synonyms:
/// (1 - weight) * names[q] + weight * auxiliary[index[q]], and names[q] where
/// the index is -1; not normalised. names [Q, D], auxiliary [A, D], index [Q].
/// Throws Error(kInvalidArg) for anything else.
at::Tensor mix_features(const at::Tensor& names,
                        const at::Tensor& auxiliary,
                        const std::vector<int64_t>& index,
                        double weight);

/// Products of the rows of a [M, D] and b [K, D]: [M, K].
/// Throws Error(kInvalidArg) for other shapes.
at::Tensor feature_products(const at::Tensor& a, const at::Tensor& b);

/// Cosines of the rows of a [M, D] and b [K, D]: float32 [M, K], on a's device;
/// 0 for a row of zeros. Throws Error(kInvalidArg) for other shapes.
at::Tensor cosines(const at::Tensor& a, const at::Tensor& b);

}  // namespace declip

#include "declip/features.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "declip/error.h"
#include "declip/model.h"

namespace declip {

at::Tensor mix_features(const at::Tensor& names,
                        const at::Tensor& auxiliary,
                        const std::vector<int64_t>& index,
                        double weight) {
  if (names.dim() != 2 || auxiliary.dim() != 2 ||
      names.size(1) != auxiliary.size(1) ||
      static_cast<int64_t>(index.size()) != names.size(0) ||
      std::any_of(index.begin(), index.end(), [&](int64_t i) {
        return i < -1 || i >= auxiliary.size(0);
      })) {
    throw Error(ErrorCode::kInvalidArg,
                "names [Q, D], auxiliary [A, D] and index [Q] do not fit.");
  }
  auto mixed = names.clone();
  for (size_t q = 0; q < index.size(); ++q) {
    if (index[q] < 0) continue;
    const auto row = static_cast<int64_t>(q);
    mixed[row] = (1.0 - weight) * names[row] + weight * auxiliary[index[q]];
  }
  return mixed;
}

at::Tensor feature_products(const at::Tensor& a, const at::Tensor& b) {
  if (a.dim() != 2 || b.dim() != 2 || a.size(1) != b.size(1)) {
    throw Error(ErrorCode::kInvalidArg,
                "similarity needs [M, D] and [K, D] features.");
  }
  return at::matmul(a, b.t());
}

at::Tensor cosines(const at::Tensor& a, const at::Tensor& b) {
  const c10::InferenceMode guard;
  if (a.dim() != 2 || b.dim() != 2) return feature_products(a, b);
  return feature_products(l2_normalize(a.to(at::kFloat), 1),
                          l2_normalize(b.to(a.device(), at::kFloat), 1));
}

}  // namespace declip

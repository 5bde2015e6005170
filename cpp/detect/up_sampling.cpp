#include "detect/up_sampling.h"

#include <ATen/ATen.h>

namespace declip {
namespace {

Folded transposed(const Scope& scope) {
  return {scope["weight"], scope["bias"]};
}

/// `up`, and behind it the lateral convolution if there is one.
Upsample2 with_lateral(const Folded& up,
                       const std::vector<Folded>& laterals,
                       size_t level,
                       const Numerics& numerics) {
  const Folded all =
      laterals.empty() ? up : fold_pointwise(up, laterals[level]);
  return {all.weight, all.bias, numerics};
}

}  // namespace

UpSampling::UpSampling(const Scope& backbone,
                       const std::vector<Folded>& laterals,
                       const Numerics& numerics)
    : dtype_(numerics.dtype) {
  const Scope twice = backbone / "interpolate1";
  const Folded first = fold_batch_norm((twice / "0")["weight"],
                                       (twice / "0")["bias"],
                                       twice / "1",
                                       /*transposed=*/true);
  first_ = Upsample2(first.weight, first.bias, numerics, Epilogue::kGelu);
  second_ = with_lateral(transposed(twice / "3"), laterals, 0, numerics);
  single_ = with_lateral(
      transposed(backbone / "interpolate2" / "0"), laterals, 1, numerics);
  for (size_t level = 2; level < laterals.size(); ++level) {
    laterals_.emplace_back(
        laterals[level].weight, laterals[level].bias, false, numerics);
  }
}

std::vector<at::Tensor> UpSampling::operator()(
    const std::vector<at::Tensor>& maps) const {
  const auto map = [&](size_t level) { return maps[level].to(dtype_); };
  std::vector<at::Tensor> out{second_(first_(map(0))),
                              single_(map(1)),
                              map(2),
                              at::max_pool2d(map(3), 2, 2)};
  for (size_t i = 0; i < laterals_.size(); ++i) {
    out[2 + i] = laterals_[i](out[2 + i]);
  }
  return out;
}

}  // namespace declip

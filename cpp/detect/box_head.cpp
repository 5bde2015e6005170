#include "detect/box_head.h"

#include <ATen/ATen.h>

#include <string>

namespace declip {
namespace {

/// Linear layers with ReLU, `scope`0, 1, ... The last one's results are handed
/// out where `to` says so.
std::vector<Linear> linear_layers(const Scope& scope,
                                  const Numerics& numerics,
                                  int64_t bins = 1) {
  std::vector<Linear> out;
  for (int64_t i = 0;; ++i) {
    const Scope layer = scope / std::to_string(i);
    auto weight = layer.find("weight");
    if (!weight.defined()) return out;
    if (i == 0 && bins > 1) {
      // Columns are channel, row, column; maps lie in memory with the channel
      // last.
      weight = weight.unflatten(1, {-1, bins, bins})
                   .permute({0, 2, 3, 1})
                   .flatten(1)
                   .contiguous();
    }
    out.emplace_back(weight, layer["bias"], numerics, Epilogue::kRelu);
  }
}

at::Tensor through(const std::vector<Linear>& layers, at::Tensor x) {
  for (const Linear& layer : layers) x = layer(x);
  return x;
}

/// The branches are small, and what they give is compared, not only ranked.
Numerics exact(Numerics numerics) {
  numerics.dtype = at::kFloat;
  return numerics;
}

}  // namespace

std::vector<Conv> normed_convolutions(const Scope& scope,
                                      const Numerics& numerics) {
  std::vector<Conv> out;
  for (int64_t i = 0;; ++i) {
    const Scope layer = scope / std::to_string(i);
    const auto weight = (layer / "conv").find("weight");
    if (!weight.defined()) return out;
    const Folded conv = fold_batch_norm(weight, {}, layer / "bn");
    out.emplace_back(conv.weight, conv.bias, true, numerics);
  }
}

BoxHead::BoxHead(const Scope& scope, const Numerics& numerics)
    : dtype_(numerics.dtype),
      convs_(normed_convolutions(scope / "shared_convs", numerics)),
      shared_(linear_layers(scope / "shared_fcs", numerics, kBins)),
      words_(linear_layers(scope / "cls_fcs", exact(numerics))),
      moves_(linear_layers(scope / "reg_fcs", exact(numerics))),
      out_(scope / "fc_reg", exact(numerics)) {}

BoxAnswers BoxHead::operator()(const at::Tensor& pooled) const {
  auto x = pooled.to(dtype_);
  for (const Conv& conv : convs_) x = conv(x);
  x = x.permute({0, 2, 3, 1}).flatten(1);
  x = through(shared_, x).to(at::kFloat);
  return {through(words_, x), out_(through(moves_, x))};
}

}  // namespace declip

#include "detect/rpn.h"

#include <ATen/ATen.h>

#include <string>

namespace declip {

Rpn::Rpn(const Scope& scope, const Numerics& numerics) {
  for (int64_t i = 0;; ++i) {
    const Scope layer = scope / "rpn_conv" / std::to_string(i);
    const auto weight = (layer / "conv").find("weight");
    if (!weight.defined()) break;
    Folded conv{weight, (layer / "conv").find("bias")};
    if ((layer / "bn").find("weight").defined()) {
      conv = fold_batch_norm(conv.weight, conv.bias, layer / "bn");
    }
    convs_.emplace_back(conv.weight, conv.bias, true, numerics);
  }
  const Scope logits = scope / "rpn_cls", deltas = scope / "rpn_reg";
  anchors_ = logits["weight"].size(0);
  // Scores of 8 bits would be alike by the thousand.
  Numerics exact = numerics;
  exact.dtype = at::kFloat;
  out_ = Conv(at::cat({logits["weight"], deltas["weight"]}),
              at::cat({logits["bias"], deltas["bias"]}),
              false,
              exact);
}

RpnLevel Rpn::operator()(const at::Tensor& map) const {
  auto x = map;
  for (const Conv& conv : convs_) x = conv(x);
  const auto both = out_(x.to(at::kFloat));
  return {both.slice(1, 0, anchors_), both.slice(1, anchors_)};
}

}  // namespace declip

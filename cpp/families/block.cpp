#include "families/block.h"

#include <ATen/ATen.h>

#include <vector>

namespace declip {
namespace {

/// Weight or bias of the layer before a LayerScale.
at::Tensor scaled(const at::Tensor& x, const at::Tensor& gamma) {
  if (!gamma.defined()) return x;
  return x.dim() == 2 ? x * gamma.unsqueeze(1) : x * gamma;
}

/// Queries', keys' and values' rows of a fused weight or bias, the channels of
/// every head of the former two in `order`, if there is one.
std::vector<at::Tensor> parts(const at::Tensor& qkv, const at::Tensor& order) {
  auto out = qkv.chunk(3, 0);
  for (size_t i = 0; order.defined() && i < 2; ++i) {
    out[i] = out[i]
                 .unflatten(0, {-1, order.size(0)})
                 .index_select(1, order.to(qkv.device()))
                 .flatten(0, 1);
  }
  return out;
}

}  // namespace

FoundationBlock::FoundationBlock(const Scope& scope,
                                 const ModelConfig& config,
                                 const Numerics& numerics,
                                 const at::Tensor& head_order)
    : norm1_(scope / "norm1", config.vision.layer_norm_eps, numerics),
      norm2_(scope / "norm2", config.vision.layer_norm_eps, numerics),
      qkv_(parts((scope / "attn" / "qkv")["weight"], head_order),
           parts((scope / "attn" / "qkv")["bias"], head_order),
           config.vision.heads,
           Projection::Products::kOne,
           numerics) {
  const auto gamma1 = (scope / "ls1").find("gamma");
  const auto gamma2 = (scope / "ls2").find("gamma");
  const Scope proj = scope / "attn" / "proj";
  proj_ = Linear(
      scaled(proj["weight"], gamma1), scaled(proj["bias"], gamma1), numerics);
  const Scope fc1 = scope / "mlp" / "fc1", fc2 = scope / "mlp" / "fc2";
  const auto weight = scaled(fc2["weight"], gamma2);
  const auto bias = scaled(fc2["bias"], gamma2);
  if (config.foundation.gated_mlp) {
    gate_up_ = Linear(fc1, numerics);
    down_ = Linear(weight, bias, numerics);
  } else {
    mlp_.emplace(
        fc1["weight"], fc1["bias"], weight, bias, Activation::kGelu, numerics);
  }
}

at::Tensor FoundationBlock::output(const at::Tensor& x,
                                   const at::Tensor& merged) const {
  return x.defined() ? proj_.add_to(x, merged) : proj_(merged);
}

at::Tensor FoundationBlock::feed_forward(const at::Tensor& y) const {
  const auto normed = norm2_(y);
  if (mlp_) return mlp_->add_to(y, normed);
  const auto halves = gate_up_(normed).chunk(2, -1);
  return down_.add_to(y, at::silu(halves[0]) * halves[1]);
}

}  // namespace declip

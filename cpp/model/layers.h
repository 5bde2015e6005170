#pragma once

#include <ATen/ATen.h>

#include <map>
#include <string>

#include "declip/config.h"
#include "declip/error.h"

namespace declip {

/// Weight lookup under a prefix. The checkpoint loader has checked every shape,
/// so a missing key is a defect of ours.
class Scope {
 public:
  Scope(const std::map<std::string, at::Tensor>& weights, std::string prefix)
      : weights_(weights), prefix_(std::move(prefix)) {}

  Scope operator/(const std::string& name) const {
    return {weights_, prefix_ + name + "."};
  }
  at::Tensor operator[](const std::string& name) const {
    const auto found = find(name);
    if (!found.defined()) {
      throw Error(ErrorCode::kInternal, "missing weight " + prefix_ + name);
    }
    return found;
  }
  /// Undefined when absent.
  at::Tensor find(const std::string& name) const {
    const auto it = weights_.find(prefix_ + name);
    return it == weights_.end() ? at::Tensor() : it->second;
  }

 private:
  const std::map<std::string, at::Tensor>& weights_;
  std::string prefix_;
};

/// y = x W^T + b, weight [out, in]. On the CPU the weight is packed once for
/// oneDNN, which then runs without a reorder per call.
class Linear {
 public:
  Linear() = default;
  explicit Linear(const Scope& scope)
      : Linear(scope["weight"], scope.find("bias")) {}
  Linear(const at::Tensor& weight, at::Tensor bias);

  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor weight_;  // packed, or as stored where it cannot be packed
  at::Tensor bias_;    // may be undefined
  bool packed_ = false;
};

/// LayerNorm over the last dimension; statistics are computed in float32
/// whatever the dtype.
struct LayerNorm {
  at::Tensor weight, bias;
  double eps = 1e-5;

  LayerNorm() = default;
  LayerNorm(const Scope& scope, double epsilon)
      : weight(scope["weight"]), bias(scope["bias"]), eps(epsilon) {}
  at::Tensor operator()(const at::Tensor& x) const {
    return at::layer_norm(x, weight.sizes(), weight, bias, eps);
  }
};

/// QuickGELU is x * sigmoid(1.702 x); GELU the exact (erf) one.
inline at::Tensor activate(const at::Tensor& x, Activation kind) {
  return kind == Activation::kQuickGelu ? x * at::sigmoid(1.702 * x)
                                        : at::gelu(x);
}

/// The pre-norm residual attention block of CLIP, in both its towers:
/// ln_1, fused in_proj, out_proj, ln_2, c_fc, c_proj, optional LayerScale.
struct ClipBlock {
  LayerNorm ln_1, ln_2;
  Linear in_proj, out_proj, c_fc, c_proj;
  at::Tensor ls_1, ls_2;  // undefined without LayerScale
  Activation activation;

  ClipBlock(const Scope& scope, double eps, Activation kind)
      : ln_1(scope / "ln_1", eps),
        ln_2(scope / "ln_2", eps),
        in_proj((scope / "attn")["in_proj_weight"],
                (scope / "attn")["in_proj_bias"]),
        out_proj(scope / "attn" / "out_proj"),
        c_fc(scope / "mlp" / "c_fc"),
        c_proj(scope / "mlp" / "c_proj"),
        ls_1((scope / "ls_1").find("gamma")),
        ls_2((scope / "ls_2").find("gamma")),
        activation(kind) {}

  at::Tensor attention_output(const at::Tensor& merged) const {
    const auto y = out_proj(merged);
    return ls_1.defined() ? y * ls_1 : y;
  }
  at::Tensor feed_forward(const at::Tensor& x) const {
    const auto y = c_proj(activate(c_fc(ln_2(x)), activation));
    return ls_2.defined() ? y * ls_2 : y;
  }
};

}  // namespace declip

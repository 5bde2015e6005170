#include "model/layers.h"

#include <cmath>

#include "kernels/dense_attention.h"
#include "kernels/layer_norm.h"
#include "model/recorded.h"

namespace declip {
namespace {

constexpr double kQuickGelu = 1.702;

/// gamma of a LayerScale folded into the layer before it.
at::Tensor scaled_rows(const at::Tensor& x, const at::Tensor& gamma) {
  if (!gamma.defined() || !x.defined()) return x;
  return x.dim() == 2 ? x * gamma.unsqueeze(1) : x * gamma;
}

/// Of all but QuickGELU.
Epilogue epilogue_of(Activation activation) {
  switch (activation) {
    case Activation::kGeluTanh:
      return Epilogue::kGeluTanh;
    case Activation::kRelu:
      return Epilogue::kRelu;
    default:
      return Epilogue::kGelu;
  }
}

}  // namespace

LayerNorm::LayerNorm(const Scope& scope,
                     double epsilon,
                     const Numerics& numerics)
    : weight_(scope["weight"].to(numerics.stream())),
      bias_(scope["bias"].to(numerics.stream())),
      eps_(epsilon),
      numerics_(numerics) {}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  if (numerics_.fused) {
    return layer_norm(x, weight_, bias_, eps_, numerics_.dtype);
  }
  return at::layer_norm(
             x.to(weight_.scalar_type()), weight_.sizes(), weight_, bias_, eps_)
      .to(numerics_.dtype);
}

at::Tensor LayerNorm::gated(const at::Tensor& x) const {
  if (numerics_.fused) {
    return gated_layer_norm(x, weight_, bias_, eps_, numerics_.dtype);
  }
  const auto halves = x.chunk(2, -1);
  return (*this)(at::silu(halves[0]) * halves[1]);
}

at::Tensor split_heads(const at::Tensor& x, int64_t heads) {
  return x.unflatten(-1, {heads, -1});
}

Projection::Projection(const at::Tensor& weight,
                       const at::Tensor& bias,
                       int64_t heads,
                       Products products,
                       const Numerics& numerics)
    : heads_(heads) {
  if (products == Products::kOne) {
    parts_.emplace_back(weight, bias, numerics);
    return;
  }
  const auto weights = weight.chunk(3, 0), biases = bias.chunk(3, 0);
  for (size_t i = 0; i < 3; ++i) {
    parts_.emplace_back(weights[i], biases[i], numerics);
  }
}

Projection::Projection(const std::vector<at::Tensor>& weights,
                       const std::vector<at::Tensor>& biases,
                       int64_t heads,
                       Products products,
                       const Numerics& numerics)
    : heads_(heads) {
  if (products == Products::kSeparate) {
    for (size_t i = 0; i < 3; ++i) {
      parts_.emplace_back(weights[i], biases[i], numerics);
    }
    return;
  }
  std::vector<at::Tensor> full = biases;
  for (auto& bias : full) {
    if (!bias.defined()) {
      bias = at::zeros({weights[0].size(0)}, weights[0].options());
    }
  }
  parts_.emplace_back(at::cat(weights), at::cat(full), numerics);
}

Heads Projection::operator()(const at::Tensor& x, const Wanted& wanted) const {
  if (parts_.size() == 1) {
    const auto qkv = parts_[0](x).chunk(3, -1);
    auto q = split_heads(qkv[0], heads_);
    return {wanted.class_query ? q.slice(1, 0, 1) : q,
            split_heads(qkv[1], heads_),
            split_heads(qkv[2], heads_)};
  }
  Heads heads;
  if (wanted.q) {
    heads.q = split_heads(parts_[0](wanted.class_query ? x.slice(1, 0, 1) : x),
                          heads_);
  }
  if (wanted.k) heads.k = split_heads(parts_[1](x), heads_);
  if (wanted.v) heads.v = split_heads(parts_[2](x), heads_);
  return heads;
}

// QuickGELU(z) = silu(1.702 z) / 1.702: the factors go into the weights, so
// that the activation is one that the packed layer fuses.
Mlp::Mlp(const at::Tensor& in_weight,
         const at::Tensor& in_bias,
         const at::Tensor& out_weight,
         const at::Tensor& out_bias,
         Activation activation,
         const Numerics& numerics) {
  // Recorded, the second layer makes the activation again on the way back.
  const auto within = [&](Epilogue epilogue) {
    if (!numerics.recorded) return epilogue;
    after_ = epilogue;
    return Epilogue::kNone;
  };
  if (activation != Activation::kQuickGelu) {
    in_ = Linear(in_weight, in_bias, numerics, within(epilogue_of(activation)));
    out_ = Linear(out_weight, out_bias, numerics);
  } else if (numerics.fused || numerics.recorded) {
    in_ = Linear(in_weight,
                 in_bias.defined() ? in_bias * kQuickGelu : in_bias,
                 numerics,
                 within(Epilogue::kSilu),
                 kQuickGelu);
    out_ = Linear(
        out_weight, out_bias, numerics, Epilogue::kNone, 1.0 / kQuickGelu);
  } else {
    quick_gelu_after_ = true;
    in_ = Linear(in_weight, in_bias, numerics);
    out_ = Linear(out_weight, out_bias, numerics);
  }
}

at::Tensor Mlp::add_to(const at::Tensor& residual, const at::Tensor& x) const {
  auto hidden = in_(x);
  if (quick_gelu_after_) hidden = hidden * at::sigmoid(kQuickGelu * hidden);
  return after_ == Epilogue::kNone
             ? out_.add_to(residual, hidden)
             : out_.add_activated_to(residual, hidden, after_);
}

at::Tensor attend(const Heads& heads, const Numerics& numerics, bool causal) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(heads.q.size(3)));
  if (numerics.recorded) {
    return recorded_attention(heads.q, heads.k, heads.v, scale, causal);
  }
  AttentionTerm term;
  term.parts = {{heads.q, heads.k}};
  term.scale = scale;
  AttentionOptions options;
  options.causal = causal;
  return numerics.fused ? dense_attention({term}, heads.v, options)
                        : dense_attention_eager({term}, heads.v, options);
}

ClipBlock::ClipBlock(const Scope& scope,
                     double eps,
                     int64_t heads,
                     Activation activation,
                     Projection::Products products,
                     const Numerics& numerics)
    : ln_1(scope / "ln_1", eps, numerics),
      ln_2(scope / "ln_2", eps, numerics),
      in_proj((scope / "attn")["in_proj_weight"],
              (scope / "attn")["in_proj_bias"],
              heads,
              products,
              numerics),
      out_proj(scaled_rows((scope / "attn" / "out_proj")["weight"],
                           (scope / "ls_1").find("gamma")),
               scaled_rows((scope / "attn" / "out_proj")["bias"],
                           (scope / "ls_1").find("gamma")),
               numerics),
      mlp((scope / "mlp" / "c_fc")["weight"],
          (scope / "mlp" / "c_fc")["bias"],
          scaled_rows((scope / "mlp" / "c_proj")["weight"],
                      (scope / "ls_2").find("gamma")),
          scaled_rows((scope / "mlp" / "c_proj")["bias"],
                      (scope / "ls_2").find("gamma")),
          activation,
          numerics) {}

}  // namespace declip

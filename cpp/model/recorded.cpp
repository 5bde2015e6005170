#include "model/recorded.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "kernels/dense_attention.h"
#include "model/onednn_linear.h"

namespace declip {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// Scores that the way back of attention holds at a time: 16 MB in float32.
constexpr int64_t kScores = int64_t{4} << 20;
/// Multiplications from which on a product is worth a call of its own.
constexpr int64_t kLargeProduct = int64_t{1} << 24;

bool is_product(const at::Tensor& x) {
  return x.is_cpu() &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

/// Whether to ask oneDNN for products of `x`. In bfloat16 LibTorch's own are
/// oneDNN's.
bool takes_onednn(const at::Tensor& x) {
  return x.scalar_type() == at::kFloat && has_fast_unpacked_onednn();
}

/// a b^T of [M, K] and [N, K].
at::Tensor times_transposed(const at::Tensor& a, const at::Tensor& b) {
  return takes_onednn(a) ? onednn_linear(a, b) : at::mm(a, b.t());
}

/// The same of [H, M, K] and [H, N, K], into `out`.
void times_transposed_each(at::Tensor out,
                           const at::Tensor& a,
                           const at::Tensor& b) {
  if (!takes_onednn(a) ||
      out.size(1) * out.size(2) * a.size(2) < kLargeProduct) {
    at::bmm_out(out, a, b.transpose(1, 2));
    return;
  }
  for (int64_t h = 0; h < a.size(0); ++h) {
    out[h].copy_(onednn_linear(a[h], b[h]));
  }
}

at::Tensor activate_backward(Epilogue activation,
                             const at::Tensor& gradient,
                             const at::Tensor& x) {
  switch (activation) {
    case Epilogue::kSilu:
      return at::silu_backward(gradient, x);
    case Epilogue::kGelu:
      return at::gelu_backward(gradient, x);
    case Epilogue::kGeluTanh:
      return at::gelu_backward(gradient, x, "tanh");
    case Epilogue::kRelu:
      return at::threshold_backward(gradient, x, 0);
    default:
      return gradient;
  }
}

at::Tensor rows_of(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

at::Tensor multiplied(const at::Tensor& x, double factor) {
  return factor == 1 ? x : x * factor;
}

struct RecordedLinear : Function<RecordedLinear> {
  static at::Tensor forward(AutogradContext* context,
                            const at::Tensor& x,
                            const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias,
                            int64_t activation,
                            double factor) {
    context->saved_data["biased"] = bias.has_value();
    context->save_for_backward({x, weight});
    context->saved_data["activation"] = activation;
    context->saved_data["factor"] = factor;
    const auto input = activate(static_cast<Epilogue>(activation), x);
    const auto used = multiplied(weight, factor).to(x.scalar_type());
    return takes_onednn(used)
               ? onednn_linear(input, used, bias.value_or(at::Tensor()))
               : at::linear(input, used, bias);
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto& weight = saved[1];
    const auto activation =
        static_cast<Epilogue>(context->saved_data["activation"].toInt());
    const double factor = context->saved_data["factor"].toDouble();
    const auto dy = rows_of(gradients[0]);
    variable_list out(5);
    if (context->needs_input_grad(0)) {
      const auto used = multiplied(weight, factor).to(x.scalar_type());
      out[0] = activate_backward(
          activation, times_transposed(dy, used.t()).view(x.sizes()), x);
    }
    if (context->needs_input_grad(1)) {
      const auto input = rows_of(activate(activation, x));
      // The longer side as rows, which is what oneDNN is fastest with.
      const bool turned = dy.size(1) >= input.size(1) && takes_onednn(x);
      const auto product = turned ? times_transposed(input.t(), dy.t()).t()
                                  : times_transposed(dy.t(), input.t());
      out[1] = multiplied(product.to(weight.scalar_type()), factor);
    }
    if (context->saved_data["biased"].toBool() &&
        context->needs_input_grad(2)) {
      out[2] = dy.sum(0);
    }
    return out;
  }
};

/// [B, L, n, d] -> [B * n, L, d], contiguous.
at::Tensor heads_first(const at::Tensor& x) {
  return x.transpose(1, 2).contiguous().flatten(0, 1);
}

struct RecordedAttention : Function<RecordedAttention> {
  static at::Tensor forward(AutogradContext* context,
                            const at::Tensor& q,
                            const at::Tensor& k,
                            const at::Tensor& v,
                            double scale,
                            bool causal) {
    context->save_for_backward({q, k, v});
    context->saved_data["scale"] = scale;
    context->saved_data["causal"] = causal;
    AttentionOptions options;
    options.causal = causal;
    return dense_attention({{{{q, k}}, scale, 1.0}}, v, options);
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const double scale = context->saved_data["scale"].toDouble();
    const auto q = heads_first(saved[0]).mul_(scale);
    const auto k = heads_first(saved[1]);
    const auto v = heads_first(saved[2]);
    const auto dy =
        heads_first(gradients[0].unflatten(-1, {saved[2].size(2), -1}));
    const int64_t heads = q.size(0), queries = q.size(1), keys = k.size(1);
    at::Tensor hidden;
    if (context->saved_data["causal"].toBool()) {
      hidden = at::ones({queries, keys}, q.options().dtype(at::kBool)).triu(1);
    }
    auto dq = at::empty_like(q), dk = at::empty_like(k), dv = at::empty_like(v);
    const int64_t step = std::max<int64_t>(1, kScores / (queries * keys));
    const auto buffer =
        at::empty({std::min(step, heads), queries, keys}, q.options());
    for (int64_t from = 0; from < heads; from += step) {
      const auto part = [&](const at::Tensor& x) {
        return x.slice(0, from, std::min(from + step, heads));
      };
      const auto dy_part = part(dy);
      const auto scores = buffer.slice(0, 0, dy_part.size(0));
      times_transposed_each(scores, part(q), part(k));
      if (hidden.defined()) {
        scores.masked_fill_(hidden, -std::numeric_limits<double>::infinity());
      }
      const auto weights = at::_softmax(scores, -1, false);
      times_transposed_each(
          part(dv), weights.transpose(1, 2), dy_part.transpose(1, 2));
      times_transposed_each(scores, dy_part, part(v));
      const auto ds = at::_softmax_backward_data(
          scores, weights, -1, weights.scalar_type());
      times_transposed_each(part(dq), ds, part(k).transpose(1, 2));
      times_transposed_each(
          part(dk), ds.transpose(1, 2), part(q).transpose(1, 2));
    }
    dq.mul_(scale);
    const auto like = [](const at::Tensor& x, const at::Tensor& input) {
      return x.unflatten(0, {input.size(0), -1}).transpose(1, 2);
    };
    return {like(dq, saved[0]),
            like(dk, saved[1]),
            like(dv, saved[2]),
            at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor activate(Epilogue activation, const at::Tensor& x) {
  switch (activation) {
    case Epilogue::kSilu:
      return at::silu(x);
    case Epilogue::kGelu:
      return at::gelu(x);
    case Epilogue::kGeluTanh:
      return at::gelu(x, "tanh");
    case Epilogue::kRelu:
      return at::relu(x);
    default:
      return x;
  }
}

at::Tensor recorded_linear(const at::Tensor& x,
                           const at::Tensor& weight,
                           const at::Tensor& bias,
                           Epilogue activation,
                           double factor) {
  if (!is_product(x)) {
    return at::linear(activate(activation, x),
                      multiplied(weight, factor).to(x.scalar_type()),
                      bias);
  }
  return RecordedLinear::apply(
      x,
      weight,
      bias.defined() ? std::optional(bias) : std::nullopt,
      static_cast<int64_t>(activation),
      factor);
}

at::Tensor recorded_attention(const at::Tensor& q,
                              const at::Tensor& k,
                              const at::Tensor& v,
                              double scale,
                              bool causal) {
  if (!is_product(q)) {
    AttentionOptions options;
    options.causal = causal;
    return dense_attention_eager({{{{q, k}}, scale, 1.0}}, v, options);
  }
  return RecordedAttention::apply(q, k, v, scale, causal);
}

}  // namespace declip

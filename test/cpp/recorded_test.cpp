// Products and attention for training against LibTorch's operators, whose
// gradients are its own.

#include "model/recorded.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "kernels/dense_attention.h"
#include "tap.h"

using declip::Epilogue;

namespace {

using Function = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

/// Result and gradients of a weighted sum of it.
std::vector<at::Tensor> with_gradients(const Function& function,
                                       const std::vector<at::Tensor>& inputs,
                                       const at::Tensor& weights) {
  std::vector<at::Tensor> leaves;
  for (const auto& input : inputs) {
    leaves.push_back(input.detach().clone().requires_grad_());
  }
  auto out = function(leaves);
  (out * weights).sum().backward();
  std::vector<at::Tensor> all{out.detach()};
  for (const auto& leaf : leaves) all.push_back(leaf.grad());
  return all;
}

/// Largest relative distance of any of them.
double apart(const std::vector<at::Tensor>& a,
             const std::vector<at::Tensor>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto x = a[i].to(at::kDouble), y = b[i].to(at::kDouble);
    largest = std::max(largest, ((x - y).norm() / y.norm()).item<double>());
  }
  return largest;
}

std::vector<at::Tensor> to(const std::vector<at::Tensor>& all,
                           at::ScalarType type) {
  std::vector<at::Tensor> out;
  for (const auto& one : all) out.push_back(one.to(type));
  return out;
}

/// bfloat16 has 8 bits of mantissa: one rounding is 2^-9, and a gradient here
/// has come through fewer than ten.
double tolerance(at::ScalarType type) {
  return type == at::kFloat ? 1e-5 : 0.02;
}

at::Tensor activated(Epilogue activation, const at::Tensor& x) {
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

}  // namespace

TEST(recorded_linear_has_libtorchs_gradients) {
  const c10::InferenceMode normal_tensors(false);
  const c10::AutoGradMode record(true);
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const auto activation : {Epilogue::kNone,
                                  Epilogue::kSilu,
                                  Epilogue::kGelu,
                                  Epilogue::kGeluTanh,
                                  Epilogue::kRelu}) {
      for (const auto& [in, out] : {std::pair{24, 40}, std::pair{40, 24}}) {
        const auto exact = std::vector<at::Tensor>{
            at::randn({3, 7, in}), at::randn({out, in}), at::randn({out})};
        const auto weights = at::randn({3, 7, out});
        const auto expected = with_gradients(
            [&](const auto& x) {
              return at::linear(activated(activation, x[0]), x[1], x[2]);
            },
            to(to(exact, type), at::kDouble),
            weights.to(type).to(at::kDouble));
        const auto found = with_gradients(
            [&](const auto& x) {
              return declip::recorded_linear(x[0], x[1], x[2], activation);
            },
            to(exact, type),
            weights.to(type));
        CHECK(apart(found, expected) < tolerance(type));
      }
    }
  }
}

TEST(recorded_linear_takes_a_wider_weight_and_a_factor) {
  const c10::InferenceMode normal_tensors(false);
  const c10::AutoGradMode record(true);
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const auto x = at::randn({3, 7, 24}).to(type);
    const auto bias = at::randn({40}).to(type);
    const auto weight = at::randn({40, 24});
    const auto weights = at::randn({3, 7, 40}).to(type);
    const auto expected = with_gradients(
        [&](const auto& in) {
          return at::linear(in[0], (in[1] * 1.5).to(type), in[2]);
        },
        {x, weight, bias},
        weights);
    const auto found = with_gradients(
        [&](const auto& in) {
          return declip::recorded_linear(
              in[0], in[1], in[2], declip::Epilogue::kNone, 1.5);
        },
        {x, weight, bias},
        weights);
    CHECK(apart(found, expected) < tolerance(type));
    CHECK(found[2].scalar_type() == at::kFloat);  // the weight's gradient
  }
}

TEST(recorded_attention_has_libtorchs_gradients) {
  const c10::InferenceMode normal_tensors(false);
  const c10::AutoGradMode record(true);
  // A few heads per pass, one at a time, and products of single heads.
  const std::vector<std::array<int64_t, 4>> shapes{
      {2, 9, 3, 8}, {1, 700, 9, 16}, {1, 600, 2, 64}};
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const auto& [b, l, n, d] : shapes) {
      for (const bool causal : {false, true}) {
        const auto qkv = at::randn({b, l, 3, n, d});
        const auto weights = at::randn({b, l, n * d}).to(type);
        const double scale = 1 / std::sqrt(static_cast<double>(d));
        declip::AttentionOptions options;
        options.causal = causal;
        const auto parts = [](const at::Tensor& x) { return x.unbind(2); };
        const auto expected = with_gradients(
            [&](const auto& x) {
              const auto p = parts(x[0]);
              return declip::dense_attention_eager(
                  {{{{p[0], p[1]}}, scale, 1.0}}, p[2], options);
            },
            {qkv.to(type).to(at::kDouble)},
            weights.to(at::kDouble));
        const auto found = with_gradients(
            [&](const auto& x) {
              const auto p = parts(x[0]);
              return declip::recorded_attention(
                  p[0], p[1], p[2], scale, causal);
            },
            {qkv.to(type)},
            weights);
        CHECK(apart(found, expected) < tolerance(type));
      }
    }
  }
}

#include <cmath>
#include <map>

#include "kernels/dense_attention.h"
#include "kernels/layer_norm.h"
#include "kernels/rope.h"
#include "kernels/self_similarity.h"
#include "model/layers.h"
#include "task.h"

namespace declip::bench {
namespace {

/// Of relative_difference(): a few roundings.
double tolerance_of(at::ScalarType dtype) {
  if (dtype == at::kHalf) return 5e-3;
  return dtype == at::kBFloat16 ? 2e-2 : 1e-5;
}

Task norm(const Request& request) {
  const int64_t rows = request.integer("rows"), c = request.integer("width");
  const auto dtype = request.dtype();
  const auto x = random({rows, c}), weight = random({c}), bias = random({c});
  Task task;
  task.run = [=] { return layer_norm(x, weight, bias, 1e-5, dtype); };
  task.moved = static_cast<double>(rows * c) *
               static_cast<double>(4 + c10::elementSize(dtype));
  task.error = relative_difference(layer_norm(x, weight, bias, 1e-5, dtype),
                                   at::layer_norm(x.to(at::kDouble),
                                                  {c},
                                                  weight.to(at::kDouble),
                                                  bias.to(at::kDouble)));
  task.tolerance = tolerance_of(dtype);
  return task;
}

/// `terms` 1 is ordinary attention; 8 is ITACLIP's last block, which adds the
/// maps of q with itself and k with itself of four blocks.
Task attention(const Request& request) {
  const int64_t batch = request.integer("batch");
  const int64_t tokens = request.integer("tokens");
  const int64_t heads = request.has("heads") ? request.integer("heads") : 12;
  const int64_t width = 64, count = request.integer("terms");
  const auto dtype = request.dtype();
  const auto heads_of = [&] {
    return random({batch, tokens, heads, width}).to(dtype);
  };
  std::vector<AttentionTerm> terms;
  for (int64_t i = 0; i < count; ++i) {
    const auto a = heads_of();
    AttentionTerm term;
    term.parts = {{a, count == 1 ? heads_of() : a}};
    term.scale = 1 / std::sqrt(static_cast<double>(width));
    term.weight = 1 / static_cast<double>(count);
    terms.push_back(std::move(term));
  }
  const auto v = heads_of();
  Task task;
  task.run = [=] { return dense_attention(terms, v); };
  task.flops = 2.0 * static_cast<double>(batch * heads * tokens * tokens *
                                         width * (count + 1));
  task.error = relative_difference(dense_attention(terms, v),
                                   dense_attention_eager(terms, v));
  task.tolerance = tolerance_of(dtype);
  return task;
}

/// All patches of a picture attend to those that are like them.
Task aggregate(const Request& request) {
  const auto x = request.file("features", "featuresShape");
  const double gain = request.number("gain");
  const auto rows = static_cast<double>(x.size(0));
  Task task;
  task.run = [=] { return attend_to_alike(x, gain, {}); };
  task.flops = 4 * rows * rows * static_cast<double>(x.size(1));
  return task;
}

/// Rotary positions of one projection, in place.
Task rotation(const Request& request) {
  const int64_t batch = request.integer("batch");
  const int64_t tokens = request.integer("tokens");
  const int64_t heads = request.has("heads") ? request.integer("heads") : 12;
  const int64_t width = 64;
  const int64_t prefix = request.has("prefix") ? request.integer("prefix") : 1;
  const auto dtype = request.dtype();
  const auto x = random({batch, tokens, heads, width});
  const auto angle = random({tokens - prefix, width});
  const auto cos = angle.cos(), sin = angle.sin();
  const auto patches = x.slice(1, prefix);
  const auto pairs = patches.unflatten(-1, {width / 2, 2});
  const auto turned =
      at::stack({-pairs.select(-1, 1), pairs.select(-1, 0)}, -1).flatten(-2);
  const auto expected = patches * cos.unsqueeze(1) + turned * sin.unsqueeze(1);
  const auto got = x.to(dtype, /*non_blocking=*/false, /*copy=*/true);
  rotate_pairs(got, cos, sin, prefix);
  Task task;
  task.error = relative_difference(got.slice(1, prefix), expected);
  task.tolerance = tolerance_of(dtype);
  task.run = [=] {
    rotate_pairs(got, cos, sin, prefix);
    return at::Tensor();
  };
  task.moved = 2.0 * static_cast<double>(got.nbytes());
  return task;
}

/// x W^T + b with what the tower fuses into it: 'none', 'silu' or 'residual'.
Task linear(const Request& request) {
  const int64_t rows = request.integer("rows");
  const int64_t in = request.integer("in"), out = request.integer("out");
  const auto epilogue = request.text("epilogue");
  const auto dtype = request.dtype();
  Numerics numerics;
  numerics.fused = true;
  numerics.dtype = dtype;
  const auto weight = random({out, in}) / std::sqrt(static_cast<double>(in));
  const auto bias = random({out});
  const auto x = random({rows, in}).to(dtype);
  const auto residual = random({rows, out});
  const bool silu = epilogue == "silu", add = epilogue == "residual";
  const Linear layer(
      weight, bias, numerics, silu ? Epilogue::kSilu : Epilogue::kNone);
  Task task;
  task.run = [=] { return add ? layer.add_to(residual, x) : layer(x); };
  task.flops = 2.0 * static_cast<double>(rows * in * out);
  auto expected = at::linear(x.to(at::kFloat), weight, bias);
  if (silu) expected = at::silu(expected);
  if (add) expected = expected + residual;
  task.error = relative_difference(task.run(), expected);
  task.tolerance = tolerance_of(dtype);
  return task;
}

}  // namespace

MakeTask find_layer_task(const std::string& name) {
  static const std::map<std::string, MakeTask> tasks{
      {"layer-norm", norm},
      {"attention", attention},
      {"aggregate", aggregate},
      {"rope", rotation},
      {"linear", linear},
  };
  const auto found = tasks.find(name);
  return found == tasks.end() ? nullptr : found->second;
}

}  // namespace declip::bench

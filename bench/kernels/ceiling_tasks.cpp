#include <cmath>
#include <map>

#include "model/layers.h"
#include "task.h"

namespace declip::bench {
namespace {

Linear packed(int64_t in, int64_t out, at::ScalarType dtype) {
  Numerics numerics;
  numerics.fused = true;
  numerics.dtype = dtype;
  return {random({out, in}) / std::sqrt(static_cast<double>(in)), {}, numerics};
}

/// A copy of `bytes`: as many are read as written.
Task copy(const Request& request) {
  const int64_t bytes = request.integer("bytes");
  const auto from = at::ones({bytes / 4}, at::kFloat);
  const auto to = at::zeros_like(from);
  Task task;
  task.run = [=] {
    to.copy_(from);
    return at::Tensor();
  };
  task.moved = 2.0 * static_cast<double>(bytes);
  return task;
}

/// LibTorch's batched product of `batch` matrices [m, k] [k, n].
Task batched_product(const Request& request) {
  const int64_t batch = request.integer("batch"), m = request.integer("m"),
                k = request.integer("k"), n = request.integer("n");
  const auto dtype = request.dtype();
  const auto a = random({batch, m, k}).to(dtype);
  const auto b = random({batch, k, n}).to(dtype);
  Task task;
  task.run = [=, out = at::empty({batch, m, n}, dtype)]() mutable {
    at::bmm_out(out, a, b);
    return at::Tensor();
  };
  task.flops = 2.0 * static_cast<double>(batch * m * k * n);
  return task;
}

/// oneDNN's product with a packed weight, nothing fused.
Task packed_product(const Request& request) {
  const int64_t rows = request.integer("rows"), in = request.integer("in"),
                out = request.integer("out");
  const auto layer = packed(in, out, request.dtype());
  const auto x = random({rows, in}).to(request.dtype());
  Task task;
  task.run = [=] {
    layer(x);
    return at::Tensor();
  };
  task.flops = 2.0 * static_cast<double>(rows * in * out);
  return task;
}

/// The matrix products of a ViT-B/16's forward pass and nothing else: the patch
/// embedding, twelve blocks of four linear layers, the projection. Each layer
/// has weights of its own, packed by oneDNN; the inputs are prepared. The two
/// batched products of attention are counted as if they ran at the same rate.
Task tower_products(const Request& request) {
  const int64_t batch = request.integer("batch"), blocks = 12, width = 768,
                patches = 196, tokens = 1 + patches, embed = 512;
  const auto dtype = request.dtype();
  struct Product {
    Linear layer;
    at::Tensor x;
  };
  std::vector<Product> products;
  double linear_flops = 0;
  const auto add = [&](int64_t rows, const at::Tensor& x, int64_t out) {
    products.push_back({packed(x.size(1), out, dtype), x});
    linear_flops += 2.0 * static_cast<double>(rows * x.size(1) * out);
  };
  const auto input = [&](int64_t rows, int64_t in) {
    return random({rows, in}).to(dtype);
  };
  const int64_t rows = batch * tokens;
  const auto stream = input(rows, width), hidden = input(rows, 4 * width);
  add(batch * patches, input(batch * patches, width), width);
  for (int64_t i = 0; i < blocks; ++i) {
    add(rows, stream, 3 * width);
    add(rows, stream, width);
    add(rows, stream, 4 * width);
    add(rows, hidden, width);
  }
  add(batch * patches, stream.slice(0, 0, batch * patches), embed);
  const double attention_flops =
      4.0 * static_cast<double>(blocks * batch * tokens * tokens * width);
  Task task;
  task.flops = linear_flops;
  task.scale = (linear_flops + attention_flops) / linear_flops;
  task.run = [products = std::move(products)] {
    for (const auto& [layer, x] : products) layer(x);
    return at::Tensor();
  };
  return task;
}

}  // namespace

MakeTask find_ceiling_task(const std::string& name) {
  static const std::map<std::string, MakeTask> tasks{
      {"copy", copy},
      {"batched-product", batched_product},
      {"packed-product", packed_product},
      {"tower-products", tower_products},
  };
  const auto found = tasks.find(name);
  return found == tasks.end() ? nullptr : found->second;
}

}  // namespace declip::bench

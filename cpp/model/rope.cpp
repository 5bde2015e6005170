#include "model/rope.h"

#include <ATen/ATen.h>

#include <numbers>

namespace declip {
namespace {

constexpr double kPretrainSide = 16.0;

/// [s, r] angles of one side, each frequency twice.
at::Tensor side_angles(int64_t s, int64_t r) {
  const auto options = at::TensorOptions().dtype(at::kFloat);
  const auto frequencies = 1.0 / at::pow(10000.0,
                                         at::arange(0, r, 2, options) /
                                             static_cast<double>(r));  // (r/2)
  const auto positions =
      at::arange(s, options) / static_cast<double>(s) * kPretrainSide;
  return (positions.unsqueeze(1) * frequencies.unsqueeze(0))
      .repeat_interleave(2, -1);
}

/// [s, d / 4] angles of one side's centres.
at::Tensor centred_angles(int64_t s, int64_t d) {
  const auto options = at::TensorOptions().dtype(at::kFloat);
  const auto frequencies = 1.0 / at::pow(100.0,
                                         at::arange(0, d / 4, options) * 4.0 /
                                             static_cast<double>(d));
  const auto centres =
      2.0 * ((at::arange(s, options) + 0.5) / static_cast<double>(s)) - 1.0;
  return 2.0 * std::numbers::pi * centres.unsqueeze(1) *
         frequencies.unsqueeze(0);
}

}  // namespace

RopeTable centred_rope_table(int64_t h, int64_t w, int64_t head_width) {
  const int64_t r = head_width / 4;
  const auto rows =
      centred_angles(h, head_width).unsqueeze(1).expand({h, w, r});
  const auto columns =
      centred_angles(w, head_width).unsqueeze(0).expand({h, w, r});
  const auto angles = at::cat({rows, columns}, -1)
                          .reshape({h * w, 2 * r})
                          .repeat_interleave(2, -1);
  return {angles.cos(), angles.sin()};
}

RopeTable rope_table(int64_t h, int64_t w, int64_t head_width) {
  const int64_t r = head_width / 2;
  const auto rows = side_angles(h, r).unsqueeze(1).expand({h, w, r});
  const auto columns = side_angles(w, r).unsqueeze(0).expand({h, w, r});
  const auto angles = at::cat({rows, columns}, -1).reshape({h * w, 2 * r});
  return {angles.cos(), angles.sin()};
}

at::Tensor rotate_patches(const at::Tensor& x,
                          const RopeTable& table,
                          int64_t prefix) {
  const auto patches = x.slice(1, prefix);
  const auto pairs = patches.unflatten(-1, {-1, 2});
  const auto turned =
      at::stack({-pairs.select(-1, 1), pairs.select(-1, 0)}, -1).flatten(-2);
  const auto cos = table.cos.to(x.options()).unsqueeze(1);  // (N, 1, d)
  const auto sin = table.sin.to(x.options()).unsqueeze(1);
  return at::cat({x.slice(1, 0, prefix), patches * cos + turned * sin}, 1);
}

}  // namespace declip

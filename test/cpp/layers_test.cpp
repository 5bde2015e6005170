#include "model/layers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "declip/error.h"
#include "kernels/layer_norm.h"
#include "kernels/prefix_attention.h"
#include "kernels/quantize.h"
#include "kernels/rope.h"
#include "model/rope.h"
#include "random_planes.h"
#include "tap.h"

using declip::Epilogue;
using declip::Linear;
using declip::Numerics;

namespace {

Numerics fused(at::ScalarType dtype = at::kFloat) {
  Numerics numerics;
  numerics.fused = true;
  numerics.dtype = dtype;
  return numerics;
}

/// [R, C] -> [R, C] in double.
at::Tensor plain_norm(const at::Tensor& x,
                      const at::Tensor& weight,
                      const at::Tensor& bias,
                      double eps) {
  auto out = at::empty(x.sizes(), at::kDouble);
  for (int64_t r = 0; r < x.size(0); ++r) {
    double mean = 0, square = 0;
    const auto n = static_cast<double>(x.size(1));
    for (int64_t i = 0; i < x.size(1); ++i) mean += x[r][i].item<double>() / n;
    for (int64_t i = 0; i < x.size(1); ++i)
      square += std::pow(x[r][i].item<double>() - mean, 2) / n;
    for (int64_t i = 0; i < x.size(1); ++i) {
      out[r][i] = (x[r][i].item<double>() - mean) / std::sqrt(square + eps) *
                      weight[i].item<double>() +
                  bias[i].item<double>();
    }
  }
  return out;
}

constexpr std::array kEpilogues{Epilogue::kNone,
                                Epilogue::kSilu,
                                Epilogue::kGelu,
                                Epilogue::kGeluTanh,
                                Epilogue::kRelu};

double activation(double x, Epilogue kind) {
  switch (kind) {
    case Epilogue::kSilu:
      return x / (1 + std::exp(-x));
    case Epilogue::kGelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Epilogue::kGeluTanh:
      return 0.5 * x *
             (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Epilogue::kRelu:
      return std::max(x, 0.0);
    default:
      return x;
  }
}

}  // namespace

TEST(layer_norm_matches_plain_loops) {
  Random random;
  for (const int64_t width : {1, 5, 16, 37, 64}) {
    const auto x = 3 * random.tensor({4, width}) + 1;
    const auto weight = random.tensor({width}), bias = random.tensor({width});
    const auto expected = plain_norm(x, weight, bias, 1e-5);
    CHECK_CLOSE(distance(declip::layer_norm(x, weight, bias, 1e-5, at::kFloat),
                         expected),
                0,
                4e-6);
    const auto half = x.to(at::kBFloat16);
    const auto rounded =
        declip::layer_norm(half, weight, bias, 1e-5, at::kBFloat16);
    CHECK(rounded.scalar_type() == at::kBFloat16);
    // values up to 4 in 8 bits
    CHECK_CLOSE(
        distance(rounded, plain_norm(half.to(at::kFloat), weight, bias, 1e-5)),
        0,
        4.0 / 256);
  }
}

TEST(gated_layer_norm_matches_plain_loops) {
  Random random;
  const auto x = 8 * random.tensor({5, 42});
  const auto weight = random.tensor({21}), bias = random.tensor({21});
  auto gated = at::empty({5, 21}, at::kDouble);
  for (int64_t r = 0; r < 5; ++r) {
    for (int64_t i = 0; i < 21; ++i) {
      gated[r][i] = activation(x[r][i].item<double>(), Epilogue::kSilu) *
                    x[r][21 + i].item<double>();
    }
  }
  CHECK_CLOSE(
      distance(declip::gated_layer_norm(x, weight, bias, 1e-6, at::kFloat),
               plain_norm(gated, weight, bias, 1e-6)),
      0,
      4e-6);
}

TEST(packed_layers_match_the_eager_ones) {
  Random random;
  for (const auto epilogue : kEpilogues) {
    const auto weight = random.tensor({24, 40}), bias = random.tensor({24});
    const auto x = random.tensor({2, 7, 40});
    const auto residual = random.tensor({2, 7, 24});
    for (const bool biased : {true, false}) {
      const auto b = biased ? bias : at::Tensor();
      const Linear eager(weight, b, Numerics(), epilogue);
      const Linear packed(weight, b, fused(), epilogue);
      CHECK_CLOSE(distance(packed(x), eager(x)), 0, 1e-5);
      if (epilogue == Epilogue::kNone) {
        CHECK_CLOSE(
            distance(packed.add_to(residual, x), residual + eager(x)), 0, 1e-5);
      }
    }
  }
}

TEST(eight_bit_layers_stay_within_their_steps) {
  if (!Linear::int8_obstacle().empty()) {
    return tap::skip(Linear::int8_obstacle());
  }
  Random random;
  auto numerics = fused();
  numerics.int8 = true;
  const int64_t in = 96;
  const auto weight = random.tensor({33, in}), bias = random.tensor({33});
  // Rows of very different size: each has a step of its own.
  const auto x =
      random.tensor({6, in}) *
      at::tensor(std::vector<float>{1e-3, 1, 1e3, 5, 1e-6, 0}).unsqueeze(1);
  const auto residual = random.tensor({6, 33});
  for (const auto epilogue : kEpilogues) {
    const auto got =
        Linear(weight, bias, numerics, epilogue).add_to(residual, x);
    const auto wanted =
        residual + Linear(weight, bias, Numerics(), epilogue)(x);
    for (int64_t r = 0; r < 6; ++r) {
      // Half a step of 1/127 for each of x and the weights, over `in` products
      // with random signs, six deviations; and float32 rounding.
      const double step = x[r].abs().max().item<double>() / 254.0;
      CHECK_CLOSE(distance(got[r], wanted[r]),
                  0,
                  6 * 2 * step * std::sqrt(static_cast<double>(in) / 3) + 1e-5);
    }
  }
}

TEST(eight_bit_layers_work_at_the_sizes_of_a_real_tower) {
  if (!Linear::int8_obstacle().empty()) {
    return tap::skip(Linear::int8_obstacle());
  }
  Random random;
  auto numerics = fused();
  numerics.int8 = true;
  for (const auto& [in, out] : std::vector<std::pair<int64_t, int64_t>>{
           {768, 2304}, {768, 768}, {768, 3072}, {3072, 768}}) {
    const auto weight = random.tensor({out, in}), bias = random.tensor({out});
    const Linear layer(weight, bias, numerics, Epilogue::kNone);
    const Linear exact(weight, bias, Numerics(), Epilogue::kNone);
    for (const int64_t rows : {1576, 197, 1, 591}) {
      const auto x = random.tensor({rows, in});
      const auto got = layer(x), wanted = exact(x);
      const double worst = (got - wanted).abs().amax(1).max().item<double>();
      // As above: 1/254 of steps for x and weights both.
      CHECK_CLOSE(worst, 0, 12 * std::sqrt(static_cast<double>(in) / 3) / 254);
    }
  }
}

TEST(rows_come_back_from_eight_bits) {
  Random random;
  const auto x = random.tensor({5, 19});
  const auto rows = declip::quantize_rows(x);
  const auto back =
      (rows.values.to(at::kFloat) - 128) * rows.scales.unsqueeze(1);
  for (int64_t r = 0; r < 5; ++r) {
    const double step = x[r].abs().max().item<double>() / 127;
    CHECK_CLOSE(distance(back[r], x[r]), 0, 0.501 * step);
    CHECK_CLOSE(rows.scales[r].item<double>(), step, 1e-6 * step);
  }
}

TEST(activations_match_the_textbook) {
  const auto x = at::linspace(-12, 12, 4001, at::kFloat).unsqueeze(0);
  for (const auto epilogue : kEpilogues) {
    const auto got =
        declip::dequantize_rows(x, at::ones({1}), {}, epilogue, {}, at::kFloat);
    for (int64_t i = 0; i < x.size(1); i += 7) {
      const double wanted = activation(x[0][i].item<double>(), epilogue);
      CHECK_CLOSE(got[0][i].item<double>(),
                  wanted,
                  5e-7 * std::max(1.0, std::abs(wanted)));
    }
  }
}

TEST(prefix_attention_sees_the_path_only) {
  Random random;
  //      0 - 1 - 2
  //        \ 3 - 4
  const std::vector<int32_t> path{0, 0, 1, 0, 1, 2, 0, 3, 0, 3, 4};
  const std::vector<int64_t> begin{0, 1, 3, 6, 8, 11};
  const auto qkv = random.tensor({5, 3 * 2 * 5}).chunk(3, -1);
  const auto heads = [](const at::Tensor& x) {
    return x.unflatten(-1, {2, 5});
  };
  const auto q = heads(qkv[0]), k = heads(qkv[1]), v = heads(qkv[2]);
  const auto got = declip::prefix_attention(q, k, v, path, begin, 0.7);
  for (size_t u = 0; u < 5; ++u) {
    const auto tokens = at::tensor(std::vector<int64_t>(
        path.begin() + begin[u], path.begin() + begin[u + 1]));
    for (int64_t h = 0; h < 2; ++h) {
      const auto scores =
          at::mv(k.select(1, h).index_select(0, tokens).to(at::kDouble),
                 q[u][h].to(at::kDouble)) *
          0.7;
      const auto expected =
          at::mv(v.select(1, h).index_select(0, tokens).to(at::kDouble).t(),
                 scores.softmax(0));
      CHECK_CLOSE(
          distance(got[u].slice(0, 5 * h, 5 * h + 5), expected), 0, 1e-6);
    }
  }
}

TEST(pairs_turn_by_their_angles) {
  Random random;
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const double rounding = dtype == at::kFloat ? 1e-6 : 1.0 / 128;
    for (const int64_t prefix : {0, 1, 5}) {
      const auto x = random.tensor({2, prefix + 6, 3, 10}).to(dtype);
      const auto angle = 3 * random.tensor({6, 5}).repeat_interleave(2, -1);
      auto got = x.clone();
      declip::rotate_pairs(got, angle.cos(), angle.sin(), prefix);
      CHECK(got.slice(1, 0, prefix).equal(x.slice(1, 0, prefix)));
      for (int64_t patch = 0; patch < 6; ++patch) {
        const auto in = x.select(1, prefix + patch).to(at::kDouble);
        const auto out = got.select(1, prefix + patch);
        for (int64_t i = 0; i < 10; i += 2) {
          const double a = angle[patch][i].item<double>();
          const auto u = in.select(2, i), v = in.select(2, i + 1);
          CHECK_CLOSE(
              distance(out.select(2, i), u * std::cos(a) - v * std::sin(a)),
              0,
              rounding);
          CHECK_CLOSE(
              distance(out.select(2, i + 1), v * std::cos(a) + u * std::sin(a)),
              0,
              rounding);
        }
      }
      CHECK_CLOSE(distance(declip::rotate_patches(
                               x, {angle.cos(), angle.sin()}, prefix),
                           got),
                  0,
                  2 * rounding);
    }
  }
}

TEST(a_table_of_angles_fits_the_tokens) {
  Random random;
  const auto x = random.tensor({1, 6, 2, 4});
  const auto table = random.tensor({5, 4});
  declip::rotate_pairs(x.clone(), table, table, 1);
  declip::rotate_pairs(
      x.clone(), table.slice(0, 0, 0), table.slice(0, 0, 0), 6);
  CHECK_THROWS_CODE(declip::rotate_pairs(x, table, table, 0),
                    declip::ErrorCode::kInternal);
  CHECK_THROWS_CODE(declip::rotate_pairs(x, table, table, -1),
                    declip::ErrorCode::kInternal);
  CHECK_THROWS_CODE(declip::rotate_pairs(x, table, table.slice(0, 1), 1),
                    declip::ErrorCode::kInternal);
}

#include "detect/conv.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "declip/call.h"
#include "random_planes.h"
#include "tap.h"

using declip::Conv;
using declip::Epilogue;
using declip::Folded;
using declip::Numerics;
using declip::Upsample2;

namespace {

Numerics numerics_of(bool fused, at::ScalarType dtype) {
  Numerics numerics;
  numerics.fused = fused;
  numerics.dtype = dtype;
  return numerics;
}

at::Tensor in_channels_last(const at::Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

/// Sums in double, one after the other; zeros around the map.
at::Tensor plain_conv(const at::Tensor& map,
                      const at::Tensor& weight,
                      const at::Tensor& bias,
                      bool relu) {
  const auto x = map.to(at::kDouble).contiguous();
  const auto k = weight.to(at::kDouble).contiguous();
  const int64_t images = x.size(0), in = x.size(1), h = x.size(2),
                w = x.size(3), out = k.size(0), side = k.size(2),
                border = side / 2;
  auto result = at::zeros({images, out, h, w}, at::kDouble);
  const auto xs = x.accessor<double, 4>();
  const auto ks = k.accessor<double, 4>();
  auto rs = result.accessor<double, 4>();
  for (int64_t n = 0; n < images; ++n)
    for (int64_t o = 0; o < out; ++o)
      for (int64_t row = 0; row < h; ++row)
        for (int64_t column = 0; column < w; ++column) {
          double sum = bias.defined() ? bias[o].item<double>() : 0;
          for (int64_t dy = 0; dy < side; ++dy)
            for (int64_t dx = 0; dx < side; ++dx) {
              const int64_t r = row + dy - border, c = column + dx - border;
              if (r < 0 || r >= h || c < 0 || c >= w) continue;
              for (int64_t i = 0; i < in; ++i)
                sum += xs[n][i][r][c] * ks[o][i][dy][dx];
            }
          rs[n][o][row][column] = relu ? std::max(sum, 0.0) : sum;
        }
  return result;
}

at::Tensor plain_upsample(const at::Tensor& map,
                          const at::Tensor& weight,
                          const at::Tensor& bias) {
  const int64_t images = map.size(0), in = map.size(1), h = map.size(2),
                w = map.size(3), out = weight.size(1);
  const auto x = map.to(at::kDouble).contiguous();
  const auto k = weight.to(at::kDouble).contiguous();
  auto result = at::zeros({images, out, 2 * h, 2 * w}, at::kDouble);
  const auto xs = x.accessor<double, 4>();
  const auto ks = k.accessor<double, 4>();
  auto rs = result.accessor<double, 4>();
  for (int64_t n = 0; n < images; ++n)
    for (int64_t o = 0; o < out; ++o)
      for (int64_t row = 0; row < 2 * h; ++row)
        for (int64_t column = 0; column < 2 * w; ++column) {
          double sum = bias.defined() ? bias[o].item<double>() : 0;
          for (int64_t i = 0; i < in; ++i)
            sum +=
                xs[n][i][row / 2][column / 2] * ks[i][o][row % 2][column % 2];
          rs[n][o][row][column] = sum;
        }
  return result;
}

/// Of sums of `terms` products of numbers below one.
double tolerance(at::ScalarType dtype, int64_t terms) {
  const double step = dtype == at::kBFloat16 ? 0.01 : 5e-6;
  return step * std::sqrt(static_cast<double>(terms));
}

struct Shape {
  int64_t images, in, out, h, w;
};

const std::vector<Shape> kShapes{{1, 8, 8, 5, 5},
                                 {2, 3, 5, 7, 4},
                                 {1, 20, 12, 1, 1},
                                 {1, 16, 33, 9, 13},
                                 {3, 32, 32, 7, 7},
                                 {1, 13, 7, 2, 11},
                                 {2, 24, 16, 6, 1},
                                 // whole vectors, and several blocks of tiles
                                 {1, 16, 16, 1, 1},
                                 {2, 32, 20, 3, 10},
                                 {1, 48, 33, 17, 6},
                                 {19, 16, 64, 7, 7},
                                 {1, 80, 70, 33, 29}};

void check_conv(const Shape& shape,
                int64_t side,
                bool relu,
                bool with_bias,
                const Numerics& numerics,
                Random& random) {
  const auto x = random.tensor({shape.images, shape.in, shape.h, shape.w})
                     .to(numerics.dtype);
  const auto weight =
      random.tensor({shape.out, shape.in, side, side}).to(numerics.dtype);
  const auto bias =
      with_bias ? random.tensor({shape.out}).to(numerics.dtype) : at::Tensor();
  const Conv conv(weight.to(at::kFloat),
                  with_bias ? bias.to(at::kFloat) : bias,
                  relu,
                  numerics);
  const auto found = conv(in_channels_last(x));
  CHECK(found.is_contiguous(at::MemoryFormat::ChannelsLast));
  CHECK(found.scalar_type() == numerics.dtype);
  const auto expected = plain_conv(x, weight, bias, relu);
  if (found.sizes() != expected.sizes()) {
    CHECK(found.sizes() == expected.sizes());
    return;
  }
  CHECK_CLOSE(distance(found, expected),
              0,
              tolerance(numerics.dtype, shape.in * side * side));
}

}  // namespace

TEST(convolutions_match_plain_loops) {
  Random random;
  for (const bool fused : {false, true})
    for (const auto dtype : {at::kFloat, at::kBFloat16})
      for (const int64_t side : {1, 3})
        for (const auto& shape : kShapes) {
          const tap::Case name(
              std::string(fused ? "fused " : "eager ") + at::toString(dtype) +
              " " + std::to_string(side) + ", " + std::to_string(shape.images) +
              " x " + std::to_string(shape.in) + " x " +
              std::to_string(shape.h) + " x " + std::to_string(shape.w) +
              " to " + std::to_string(shape.out));
          check_conv(shape,
                     side,
                     random.coin(),
                     random.coin(),
                     numerics_of(fused, dtype),
                     random);
        }
}

TEST(products_of_tiles_are_as_exact_as_direct_ones_within_a_small_factor) {
  Random random;
  const auto x = random.tensor({4, 256, 7, 7});
  const auto weight = random.tensor({64, 256, 3, 3});
  const auto exact =
      at::conv2d(x.to(at::kDouble), weight.to(at::kDouble), /*bias=*/{}, 1, 1);
  const Conv tiles(weight, {}, false, numerics_of(true, at::kFloat));
  const Conv direct(weight, {}, false, numerics_of(false, at::kFloat));
  const double largest = distance(direct(in_channels_last(x)), exact);
  CHECK(largest > 0);
  CHECK(distance(tiles(in_channels_last(x)), exact) < 6 * largest);
  // tiles were computed, not the same thing twice
  CHECK(distance(tiles(in_channels_last(x)), direct(in_channels_last(x))) > 0);
}

TEST(convolutions_take_maps_in_any_memory_order) {
  Random random;
  const auto x = random.tensor({1, 12, 6, 9});
  const auto weight = random.tensor({16, 12, 3, 3});
  const Conv conv(weight, {}, false, numerics_of(true, at::kFloat));
  const auto expected = plain_conv(x, weight, {}, false);
  CHECK_CLOSE(distance(conv(x), expected), 0, 5e-5);
  CHECK_CLOSE(
      distance(conv(x.transpose(2, 3).contiguous().transpose(2, 3)), expected),
      0,
      5e-5);
}

TEST(eager_convolutions_have_gradients) {
  Random random;
  auto x = random.tensor({1, 4, 5, 5}).requires_grad_(true);
  const Conv conv(
      random.tensor({6, 4, 3, 3}), {}, true, numerics_of(false, at::kFloat));
  const auto y = conv(x);
  CHECK(y.requires_grad());
}

TEST(upsampling_matches_plain_loops) {
  Random random;
  for (const bool fused : {false, true})
    for (const auto dtype : {at::kFloat, at::kBFloat16})
      for (const auto& shape : kShapes) {
        const tap::Case name(std::string(fused ? "fused " : "eager ") +
                             at::toString(dtype) + " " +
                             std::to_string(shape.in) + " to " +
                             std::to_string(shape.out));
        const auto x =
            random.tensor({shape.images, shape.in, shape.h, shape.w}).to(dtype);
        const auto weight =
            random.tensor({shape.in, shape.out, 2, 2}).to(dtype);
        const auto bias =
            random.coin() ? random.tensor({shape.out}).to(dtype) : at::Tensor();
        const auto relu = random.coin();
        const Upsample2 upsample(weight.to(at::kFloat),
                                 bias.defined() ? bias.to(at::kFloat) : bias,
                                 numerics_of(fused, dtype),
                                 relu ? Epilogue::kRelu : Epilogue::kNone);
        const auto found = upsample(in_channels_last(x));
        CHECK(found.is_contiguous(at::MemoryFormat::ChannelsLast));
        auto expected = plain_upsample(x, weight, bias);
        if (relu) expected = expected.relu();
        CHECK(found.sizes() == expected.sizes());
        CHECK_CLOSE(distance(found, expected), 0, tolerance(dtype, shape.in));
      }
}

TEST(a_folded_batch_norm_does_what_the_norm_does) {
  Random random;
  const std::map<std::string, at::Tensor> stored{
      {"bn.weight", random.tensor({6})},
      {"bn.bias", random.tensor({6})},
      {"bn.running_mean", random.tensor({6})},
      {"bn.running_var", random.tensor({6}).abs() + 0.01},
  };
  const declip::Call call;
  const declip::Weights weights(stored, at::kCPU, at::kFloat, call);
  const auto norm = declip::Scope(weights, "") / "bn";
  const auto normed = [&](const at::Tensor& y) {
    const auto value = [&](const char* name) {
      return stored.at(std::string("bn.") + name)
          .to(at::kDouble)
          .view({1, 6, 1, 1});
    };
    return (y - value("running_mean")) / (value("running_var") + 1e-5).sqrt() *
               value("weight") +
           value("bias");
  };
  const auto x = random.tensor({2, 5, 4, 3});
  for (const bool with_bias : {false, true}) {
    const auto bias = with_bias ? random.tensor({6}) : at::Tensor();
    const auto weight = random.tensor({6, 5, 3, 3});
    const auto folded = declip::fold_batch_norm(weight, bias, norm);
    CHECK_CLOSE(distance(plain_conv(x, folded.weight, folded.bias, false),
                         normed(plain_conv(x, weight, bias, false))),
                0,
                5e-5);
    const auto turned = random.tensor({5, 6, 2, 2});
    const auto transposed =
        declip::fold_batch_norm(turned, bias, norm, /*transposed=*/true);
    CHECK_CLOSE(distance(plain_upsample(x, transposed.weight, transposed.bias),
                         normed(plain_upsample(x, turned, bias))),
                0,
                5e-5);
  }
}

TEST(upsampling_and_a_pointwise_convolution_are_one) {
  Random random;
  const auto x = random.tensor({1, 5, 3, 4});
  for (const bool with_bias : {false, true}) {
    const Folded up{random.tensor({5, 7, 2, 2}),
                    with_bias ? random.tensor({7}) : at::Tensor()};
    const Folded turn{random.tensor({4, 7, 1, 1}),
                      with_bias ? random.tensor({4}) : at::Tensor()};
    const auto both = declip::fold_pointwise(up, turn);
    CHECK_CLOSE(distance(plain_upsample(x, both.weight, both.bias),
                         plain_conv(plain_upsample(x, up.weight, up.bias),
                                    turn.weight,
                                    turn.bias,
                                    false)),
                0,
                2e-5);
  }
}

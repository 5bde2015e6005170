#include "cat_seg/fused_decoder.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "kernels/winograd.h"

namespace declip::cat_seg {
namespace {

/// Groups of rows in a block of tiles: enough for a map of 24 x 24 in one.
constexpr int64_t kRowGroups = 3;

/// A transposed convolution [C, M, 2, 2] and behind it one of 3 x 3 places
/// [O, M, 3, 3]: one of 3 x 3 places [4 O, C, 3, 3] on the map before both. At
/// a place 2 y + p the tap t meets place y + floor((p + t) / 2) in its phase
/// (p + t) mod 2.
at::Tensor folded_taps(const at::Tensor& up, const at::Tensor& behind) {
  const int64_t out = behind.size(0), in = up.size(0);
  auto whole = at::zeros({2, 2, out, in, 3, 3}, at::kDouble);
  const auto first = up.to(at::kDouble), second = behind.to(at::kDouble);
  for (int64_t py = 0; py < 2; ++py) {
    for (int64_t px = 0; px < 2; ++px) {
      for (int64_t ty = 0; ty < 3; ++ty) {
        for (int64_t tx = 0; tx < 3; ++tx) {
          const int64_t y = py + ty - 1 + 2, x = px + tx - 1 + 2;
          const auto taps = at::matmul(
              second.select(3, tx).select(2, ty),
              first.select(3, x % 2).select(2, y % 2).t());  // [O, C]
          whole[py][px].select(3, x / 2).select(2, y / 2).add_(taps);
        }
      }
    }
  }
  return whole.flatten(0, 2).to(at::kFloat);
}

WinogradArgs tile_args(const at::Tensor& packed,
                       const at::Tensor& zeros,
                       int64_t side,
                       int64_t out) {
  WinogradArgs args;
  args.images = 1;
  args.height = args.width = side;
  args.in = packed.size(2);
  args.out = out;
  args.weight = packed.const_data_ptr<float>();
  args.panels = packed.size(0);
  args.bias = zeros.const_data_ptr<float>();
  args.block = kRowGroups * cpu::winograd_rows();
  return args;
}

}  // namespace

FusedDecoder::Step FusedDecoder::make_step(const Tensors& weights,
                                           const std::string& name,
                                           int64_t in) {
  const auto value = [&](const char* which) {
    return weights.at("transformer." + name + which).to(at::kFloat);
  };
  Step step;
  const auto up = value(".up.weight"),
             first = value(".conv.double_conv.0.weight");
  const int64_t own = up.size(1), guidance = first.size(1) - own;
  step.in = in;
  step.out = first.size(0);
  auto taps = folded_taps(up, first.narrow(1, 0, own));
  taps = at::constant_pad_nd(taps, {0, 0, 0, 0, 0, in - taps.size(1)});
  step.up = winograd_weights(taps);
  const auto of_bias =
      at::einsum("omyx,m->oyx", {first.narrow(1, 0, own), value(".up.bias")});
  step.guide =
      at::cat({of_bias.unsqueeze(1), first.narrow(1, own, guidance)}, 1);
  step.second = winograd_weights(value(".conv.double_conv.3.weight"));
  step.norms[0] = {value(".conv.double_conv.1.weight").contiguous(),
                   value(".conv.double_conv.1.bias").contiguous()};
  step.norms[1] = {value(".conv.double_conv.4.weight").contiguous(),
                   value(".conv.double_conv.4.bias").contiguous()};
  return step;
}

FusedDecoder::FusedDecoder(const Tensors& weights, const FusedShape& shape) {
  steps_[0] = make_step(weights, "decoder1", shape.stride());
  steps_[1] = make_step(weights, "decoder2", steps_[0].out);
  head_ = weights.at("transformer.head.weight")
              .to(at::kFloat)[0]
              .flatten(1)
              .t()
              .contiguous();
  head_bias_ = weights.at("transformer.head.bias").item<float>();
}

at::Tensor FusedDecoder::common(const Step& step, const at::Tensor& guidance) {
  const auto map = guidance.to(at::kFloat);
  const auto ones =
      at::ones({map.size(0), 1, map.size(2), map.size(3)}, at::kFloat);
  return at::conv2d(at::cat({ones, map}, 1), step.guide, {}, 1, 1)
      .permute({0, 2, 3, 1})
      .contiguous();
}

void FusedDecoder::operator()(const at::Tensor& x,
                              const at::Tensor& guidance1,
                              const at::Tensor& guidance2,
                              at::Tensor& out) const {
  const int64_t images = x.size(0), words = x.size(1), side = x.size(2);
  const std::array<at::Tensor, 2> added{common(steps_[0], guidance1),
                                        common(steps_[1], guidance2)};
  const auto zeros = at::zeros(
      {4 * std::max(steps_[0].out, steps_[1].out) + kWordPanel}, at::kFloat);
  // Of every thread: the larger map of either step twice, and scratch.
  std::array<int64_t, 2> large{};
  int64_t scratch = 0;
  for (size_t s = 0; s < 2; ++s) {
    const int64_t edge = side << s;
    large[s] = 4 * edge * edge * steps_[s].out;
    scratch =
        std::max({scratch,
                  cpu::winograd_scratch(
                      tile_args(steps_[s].up, zeros, edge, 4 * steps_[s].out)),
                  cpu::winograd_scratch(tile_args(
                      steps_[s].second, zeros, 2 * edge, steps_[s].out))});
  }
  const int64_t most = std::max(large[0], large[1]);
  const auto buffers =
      at::empty({at::get_num_threads(), 3 * most + scratch}, at::kFloat);
  const float* maps = x.const_data_ptr<float>();
  float* target = out.mutable_data_ptr<float>();
  const int64_t map_size = x.stride(1), logits = 16 * side * side;
  at::parallel_for(0, images * words, 1, [&](int64_t begin, int64_t end) {
    float* first =
        buffers.data_ptr<float>() + at::get_thread_num() * buffers.stride(0);
    float* second = first + most;
    float* third = second + most;
    const auto run = [&](WinogradArgs args, const float* from, float* to) {
      args.x = from;
      args.y = to;
      args.scratch = third + most;
      cpu::winograd_conv(args);
    };
    for (int64_t map = begin; map < end; ++map) {
      const float* from = maps + map * map_size;
      for (size_t s = 0; s < 2; ++s) {
        const auto& step = steps_[s];
        const int64_t edge = side << s;
        run(tile_args(step.up, zeros, edge, 4 * step.out), from, first);
        WordNormArgs norm;
        norm.side = 2 * edge;
        norm.phases = 4;
        norm.channels = step.out;
        norm.x = first;
        norm.addend = added[s].const_data_ptr<float>() + map / words * large[s];
        norm.weight = step.norms[0].weight.const_data_ptr<float>();
        norm.bias = step.norms[0].bias.const_data_ptr<float>();
        norm.out = second;
        cpu::word_norm(norm);
        run(tile_args(step.second, zeros, 2 * edge, step.out), second, third);
        norm.phases = 1;
        norm.x = norm.out = third;
        norm.addend = nullptr;
        norm.weight = step.norms[1].weight.const_data_ptr<float>();
        norm.bias = step.norms[1].bias.const_data_ptr<float>();
        cpu::word_norm(norm);
        from = third;
      }
      WordLogitArgs logit;
      logit.side = 4 * side;
      logit.channels = steps_[1].out;
      logit.x = third;
      logit.weight = head_.const_data_ptr<float>();
      logit.bias = head_bias_;
      logit.out = target + map * logits;
      cpu::word_logit(logit);
    }
  });
}

}  // namespace declip::cat_seg

#include "kernels/winograd.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "declip/error.h"
#include "kernels/element_type.h"
#include "kernels/winograd_math.h"

namespace declip {
namespace {

constexpr int64_t kOutPanel = 32, kWinogradVector = 16;

/// Groups of rows in a block, which use every weight that is read. More of them
/// do not stay in a cache of 1 MB: 14 rows of 256 channels take 0.5 MB.
constexpr int64_t kMostGroups = 2;

int64_t divided_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

bool has_winograd(const at::Tensor& weight) {
  return weight.is_cpu() && weight.size(1) % kWinogradVector == 0 &&
         weight.size(2) == 3 && weight.size(3) == 3;
}

at::Tensor winograd_weights(const at::Tensor& weight) {
  const int64_t out = weight.size(0), in = weight.size(1);
  const int64_t panels = divided_up(out, kOutPanel);
  const auto taps = at::from_blob(const_cast<double*>(&winograd::kTaps[0][0]),
                                  {winograd::kInputs, 3},
                                  at::kDouble)
                        .clone();
  auto packed =
      at::zeros({panels * kOutPanel, winograd::kProducts, in}, at::kFloat);
  for (int64_t row = 0; row < winograd::kInputs; ++row) {
    const auto along = at::einsum(
        "y,ocyx->ocx", {taps[row], weight.to(at::kDouble)});  // [O, C, 3]
    for (int64_t column = 0; column < winograd::kInputs; ++column) {
      packed.narrow(0, 0, out)
          .select(1, row * winograd::kInputs + column)
          .copy_(at::matmul(along, taps[column]));
    }
  }
  return packed.view({panels, kOutPanel, winograd::kProducts, in})
      .permute({0, 2, 3, 1})
      .contiguous();
}

at::Tensor winograd_conv(const at::Tensor& x,
                         const at::Tensor& packed,
                         const at::Tensor& bias,
                         bool relu) {
  const int64_t channels = bias.size(0);
  const auto type = element_type(x.scalar_type());
  if (!x.is_cpu() || !type || !has_twin(x.device(), *type) ||
      !x.is_contiguous(at::MemoryFormat::ChannelsLast) ||
      x.size(1) != packed.size(2)) {
    throw Error(ErrorCode::kInternal,
                "winograd_conv() takes maps in channels-last memory.");
  }
  auto y = at::empty({x.size(0), channels, x.size(2), x.size(3)},
                     x.options().memory_format(at::MemoryFormat::ChannelsLast));
  if (y.numel() == 0) return y;
  WinogradArgs args;
  args.x = x.const_data_ptr();
  args.images = x.size(0);
  args.height = x.size(2);
  args.width = x.size(3);
  args.in = x.size(1);
  args.out = channels;
  args.weight = packed.const_data_ptr<float>();
  args.panels = packed.size(0);
  args.bias = bias.const_data_ptr<float>();
  args.relu = relu;
  args.y = y.mutable_data_ptr();
  args.type = *type;
  const int64_t tiles = args.images *
                        divided_up(args.height, winograd::kOutputs) *
                        divided_up(args.width, winograd::kOutputs);
  const int64_t threads = at::get_num_threads(), rows = cpu::winograd_rows();
  args.block =
      rows * std::clamp<int64_t>(
                 divided_up(divided_up(tiles, threads), rows), 1, kMostGroups);
  const auto scratch =
      at::empty({threads, cpu::winograd_scratch(args)}, at::kFloat);
  args.scratch = scratch.mutable_data_ptr<float>();
  cpu::winograd_conv(args);
  return y;
}

}  // namespace declip

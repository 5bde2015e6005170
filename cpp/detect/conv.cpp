#include "detect/conv.h"

#include <ATen/ATen.h>

#include "declip/memory.h"
#include "kernels/winograd.h"

namespace declip {
namespace {

constexpr double kBatchNormEpsilon = 1e-5;

/// The four places one after the other: [C, O, 2, 2] -> [4 O, C].
at::Tensor places_as_rows(const at::Tensor& weight) {
  return weight.permute({2, 3, 1, 0}).flatten(0, 2).contiguous();
}

/// Direct convolutions in bfloat16 are faster only with units for its products.
bool has_bfloat16_tiles() {
#if defined(__x86_64__) && defined(__GNUC__)
  return __builtin_cpu_supports("amx-bf16");
#else
  return false;
#endif
}

/// Below so many output channels most of a panel of weights is zeros.
constexpr int64_t kFewChannels = 16;

bool takes_winograd(const at::Tensor& weight, const Numerics& numerics) {
  return numerics.fused && has_winograd(weight) &&
         weight.size(0) >= kFewChannels &&
         (numerics.dtype == at::kFloat ||
          (numerics.dtype == at::kBFloat16 && !has_bfloat16_tiles()));
}

}  // namespace

Conv::Conv(const at::Tensor& weight,
           const at::Tensor& bias,
           bool relu,
           const Numerics& numerics)
    : relu_(relu) {
  if (weight.size(2) == 1) {
    linear_ = Linear(weight.flatten(1).contiguous(),
                     bias,
                     numerics,
                     relu ? Epilogue::kRelu : Epilogue::kNone);
    return;
  }
  if (takes_winograd(weight, numerics)) {
    const WeightScope memory;
    weight_ = winograd_weights(weight.to(at::kFloat)).unsqueeze(0);
    bias_ = bias.defined() ? bias.to(at::kFloat).contiguous()
                           : at::zeros({weight.size(0)},
                                       weight.options().dtype(at::kFloat));
    return;
  }
  weight_ =
      weight.to(numerics.dtype).contiguous(at::MemoryFormat::ChannelsLast);
  if (bias.defined()) bias_ = bias.to(numerics.dtype).contiguous();
}

at::Tensor Conv::operator()(const at::Tensor& x) const {
  const auto map = x.contiguous(at::MemoryFormat::ChannelsLast);
  if (!weight_.defined()) {
    return linear_(map.permute({0, 2, 3, 1})).permute({0, 3, 1, 2});
  }
  if (weight_.dim() == 5) {
    return winograd_conv(map, weight_[0], bias_, relu_);
  }
  auto out = at::conv2d(map, weight_, bias_, 1, weight_.size(2) / 2)
                 .contiguous(at::MemoryFormat::ChannelsLast);
  if (!relu_) return out;
  return out.requires_grad() ? at::relu(out) : at::relu_(out);
}

Upsample2::Upsample2(const at::Tensor& weight,
                     const at::Tensor& bias,
                     const Numerics& numerics,
                     Epilogue epilogue)
    : linear_(places_as_rows(weight),
              bias.defined() ? bias.repeat({4}) : bias,
              numerics,
              epilogue),
      channels_(weight.size(1)) {}

at::Tensor Upsample2::operator()(const at::Tensor& x) const {
  const int64_t n = x.size(0), h = x.size(2), w = x.size(3);
  const auto map = x.contiguous(at::MemoryFormat::ChannelsLast);
  return linear_(map.permute({0, 2, 3, 1}))
      .view({n, h, w, 2, 2, channels_})
      .transpose(2, 3)
      .reshape({n, 2 * h, 2 * w, channels_})
      .permute({0, 3, 1, 2});
}

Folded fold_batch_norm(const at::Tensor& weight,
                       const at::Tensor& bias,
                       const Scope& norm,
                       bool transposed) {
  const auto value = [&](const char* name) {
    return norm[name].to(at::kDouble);
  };
  const auto factor =
      value("weight") / (value("running_var") + kBatchNormEpsilon).sqrt();
  auto shift = -value("running_mean");
  if (bias.defined()) shift = shift + bias.to(at::kDouble);
  const auto per_output =
      transposed ? factor.view({1, -1, 1, 1}) : factor.view({-1, 1, 1, 1});
  return {(weight.to(at::kDouble) * per_output).to(at::kFloat),
          (shift * factor + value("bias")).to(at::kFloat)};
}

Folded fold_pointwise(const Folded& upsampling, const Folded& pointwise) {
  const auto turn = pointwise.weight.flatten(1).to(at::kDouble);  // [O, M]
  const auto weight =
      at::einsum("om,cmyx->coyx", {turn, upsampling.weight.to(at::kDouble)});
  auto bias = at::zeros({turn.size(0)}, turn.options());
  if (upsampling.bias.defined()) {
    bias = at::mv(turn, upsampling.bias.to(at::kDouble));
  }
  if (pointwise.bias.defined()) bias = bias + pointwise.bias.to(at::kDouble);
  return {weight.to(at::kFloat), bias.to(at::kFloat)};
}

}  // namespace declip

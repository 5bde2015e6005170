#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string_view>
#include <utility>

#include "declip/memory.h"
#include "model/layers.h"
#include "model/onednn_linear.h"
#include "model/recorded.h"

namespace declip {
namespace {

// LibTorch keeps oneDNN's packed linear layer behind its dispatcher, without a
// C++ header: `reorder` takes a dense CPU weight and gives a packed one.
using Scalars = c10::List<std::optional<at::Scalar>>;
using Reorder = at::Tensor(const at::Tensor&, std::optional<int64_t>);
using Pointwise = at::Tensor(const at::Tensor&,
                             const at::Tensor&,
                             const std::optional<at::Tensor>&,
                             std::string_view,
                             Scalars,
                             std::optional<std::string_view>);
using Binary = at::Tensor(const at::Tensor&,
                          const at::Tensor&,
                          const at::Tensor&,
                          const std::optional<at::Tensor>&,
                          std::string_view);

using Prepack = at::Tensor(at::Tensor, std::optional<c10::List<int64_t>>);
using Quantized = at::Tensor(at::Tensor,
                             double,
                             int64_t,
                             at::Tensor,
                             at::Tensor,
                             at::Tensor,
                             std::optional<at::Tensor>,
                             double,
                             int64_t,
                             std::optional<at::ScalarType>,
                             std::string_view,
                             Scalars,
                             std::string_view);

template <class Signature>
std::optional<c10::TypedOperatorHandle<Signature>> find_operator(
    const char* name, const char* overload = "") {
  const auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!handle) return {};
  return handle->typed<Signature>();
}

struct Operators {
  std::optional<c10::TypedOperatorHandle<Reorder>> reorder =
      find_operator<Reorder>("mkldnn::_reorder_linear_weight");
  std::optional<c10::TypedOperatorHandle<Pointwise>> pointwise =
      find_operator<Pointwise>("mkldnn::_linear_pointwise");
  std::optional<c10::TypedOperatorHandle<Binary>> binary =
      find_operator<Binary>("mkldnn::_linear_pointwise", "binary");

  std::optional<c10::TypedOperatorHandle<Prepack>> prepack =
      find_operator<Prepack>("onednn::qlinear_prepack");
  std::optional<c10::TypedOperatorHandle<Quantized>> quantized =
      find_operator<Quantized>("onednn::qlinear_pointwise");

  bool complete() const { return reorder && pointwise && binary; }
};

const Operators& operators() {
  static const Operators found;
  return found;
}

/// oneDNN computes bfloat16 on any AVX-512, but only processors with units for
/// it gain from that.
bool has_bfloat16() {
#if defined(__x86_64__) && defined(__GNUC__)
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

bool can_pack(const Numerics& numerics) {
  return numerics.dtype == at::kBFloat16
             ? has_onednn_linear() && has_bfloat16()
             : numerics.dtype == at::kFloat && has_fast_onednn();
}

struct OnednnName {
  const char *name, *algorithm;
};

OnednnName onednn_name(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::kSilu:
      return {"swish", ""};
    case Epilogue::kGelu:
      return {"gelu", "none"};
    case Epilogue::kGeluTanh:
      return {"gelu", "tanh"};
    case Epilogue::kRelu:
      return {"relu", ""};
    default:
      return {"none", ""};
  }
}

at::Tensor activated_in_place(Epilogue activation, at::Tensor x) {
  switch (activation) {
    case Epilogue::kSilu:
      return at::silu_(x);
    case Epilogue::kGelu:
      return at::gelu_(x);
    case Epilogue::kGeluTanh:
      return at::gelu_(x, "tanh");
    case Epilogue::kRelu:
      return at::relu_(x);
    default:
      return x;
  }
}

}  // namespace

bool has_onednn_linear() { return at::hasMKLDNN() && operators().complete(); }

bool has_fast_onednn() {
#if defined(__x86_64__) && defined(__GNUC__)
  return has_onednn_linear() && __builtin_cpu_supports("avx512f");
#else
  return has_onednn_linear();
#endif
}

bool has_fast_unpacked_onednn() {
#if defined(__x86_64__) && defined(__GNUC__)
  return has_fast_onednn() && !__builtin_cpu_is("intel");
#else
  return has_fast_onednn();
#endif
}

at::Tensor onednn_linear(const at::Tensor& x,
                         const at::Tensor& weight,
                         const at::Tensor& bias) {
  return operators().pointwise->call(
      x,
      weight,
      bias.defined() ? std::optional(bias) : std::nullopt,
      "none",
      Scalars(),
      "");
}

Linear::Linear(const at::Tensor& given,
               const at::Tensor& bias,
               const Numerics& numerics,
               Epilogue epilogue,
               double factor)
    : form_(numerics.recorded ? Form::kRecorded : Form::kEager),
      epilogue_(epilogue),
      factor_(factor) {
  if (form_ == Form::kRecorded) {
    weight_ = given;
    if (bias.defined()) bias_ = bias.to(numerics.dtype);
    return;
  }
  const auto weight = factor == 1 ? given : given * factor;
  if (numerics.int8) {
    form_ = Form::kInt8;
    const auto w = weight.to(at::kFloat);
    scales_ = w.abs().amax(1).clamp_min(1e-12) / 127.0;
    zeros_ = at::zeros({w.size(0)}, at::kInt);
    const auto bytes = (w / scales_.unsqueeze(1)).round_().to(at::kChar);
    const WeightScope memory;
    weight_ = operators().prepack->call(bytes, std::nullopt);
    if (bias.defined()) bias_ = bias.to(at::kFloat).contiguous();
    return;
  }
  if (bias.defined()) bias_ = bias.to(numerics.dtype).contiguous();
  weight_ = weight.to(numerics.dtype);
  if (!numerics.fused || !weight.is_cpu()) return;
  const auto dense = weight_.contiguous();
  const WeightScope memory;
  if (can_pack(numerics)) {
    form_ = Form::kPacked;
    weight_ = operators().reorder->call(dense, std::nullopt);
  } else {
    form_ = Form::kDense;
    weight_ = dense.clone();  // what was given may be the file's own pages
  }
}

at::Tensor Linear::int8(const at::Tensor& x,
                        const at::Tensor& residual,
                        at::ScalarType dtype) const {
  // reshape() may give a view of rows that lie apart
  const auto flat = [](const at::Tensor& t) {
    return t.reshape({-1, t.size(-1)}).contiguous();
  };
  const auto rows = quantize_rows(flat(x));
  const auto products = operators().quantized->call(rows.values,
                                                    /*x_scale=*/1.0,
                                                    /*x_zero_point=*/128,
                                                    weight_,
                                                    scales_,
                                                    zeros_,
                                                    /*bias=*/std::nullopt,
                                                    /*output_scale=*/1.0,
                                                    /*output_zero_point=*/0,
                                                    at::kFloat,
                                                    "none",
                                                    Scalars(),
                                                    "");
  auto sizes = x.sizes().vec();
  sizes.back() = scales_.size(0);
  return dequantize_rows(products,
                         rows.scales,
                         bias_,
                         epilogue_,
                         residual.defined() ? flat(residual) : residual,
                         dtype)
      .view(sizes);
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  if (form_ == Form::kInt8) return int8(x, {}, x.scalar_type());
  if (form_ == Form::kRecorded) {
    return activate(
        epilogue_,
        recorded_linear(x, weight_, bias_, Epilogue::kNone, factor_));
  }
  if (form_ == Form::kEager) {
    return activate(epilogue_, at::linear(x, weight_, bias_));
  }
  if (form_ == Form::kDense) {
    return activated_in_place(epilogue_, at::linear(x, weight_, bias_));
  }
  const auto bias = bias_.defined() ? std::optional(bias_) : std::nullopt;
  const auto [name, algorithm] = onednn_name(epilogue_);
  return operators().pointwise->call(
      x, weight_, bias, name, Scalars(), algorithm);
}

at::Tensor Linear::add_to(const at::Tensor& residual,
                          const at::Tensor& x) const {
  if (form_ == Form::kInt8) return int8(x, residual, at::kFloat);
  const bool alike = x.scalar_type() == residual.scalar_type();
  if (form_ == Form::kDense && alike) return (*this)(x).add_(residual);
  if (form_ != Form::kPacked || !alike) return residual + (*this)(x);
  const auto bias = bias_.defined() ? std::optional(bias_) : std::nullopt;
  return operators().binary->call(x, residual, weight_, bias, "add");
}

at::Tensor Linear::add_activated_to(const at::Tensor& residual,
                                    const at::Tensor& x,
                                    Epilogue activation) const {
  return form_ == Form::kRecorded
             ? residual +
                   recorded_linear(x, weight_, bias_, activation, factor_)
             : add_to(residual, activate(activation, x));
}

std::string Linear::int8_obstacle() {
  if (!at::hasMKLDNN() || !operators().prepack || !operators().quantized) {
    return "this LibTorch has no 8-bit linear layers";
  }
#if defined(__x86_64__) && defined(__GNUC__)
  // Without them oneDNN adds pairs of products in 16 bits, which overflow.
  if (!__builtin_cpu_supports("avx512vnni") &&
      !__builtin_cpu_supports("avxvnni")) {
    return "this processor has no VNNI instructions";
  }
#endif
  return "";
}

std::string Linear::describe(const Numerics& numerics) {
  if (numerics.int8) return "oneDNN, packed 8-bit weights";
  return is_packed(numerics) ? "oneDNN, packed weights"
                             : "LibTorch's linear layer";
}

bool Linear::is_packed(const Numerics& numerics) {
  return numerics.fused && can_pack(numerics);
}

}  // namespace declip

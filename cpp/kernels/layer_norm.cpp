#include "kernels/layer_norm.h"

#include <ATen/ATen.h>

#include "declip/error.h"

namespace declip {
namespace {

bool is_bfloat16(at::ScalarType dtype) { return dtype == at::kBFloat16; }

bool has_twin(const at::Tensor& x, at::ScalarType dtype) {
  const auto known = [](at::ScalarType type) {
    return type == at::kFloat || type == at::kBFloat16;
  };
  return x.is_cpu() && known(x.scalar_type()) && known(dtype);
}

at::Tensor run(const at::Tensor& x,
               const at::Tensor& weight,
               const at::Tensor& bias,
               double eps,
               at::ScalarType dtype,
               bool gated) {
  const int64_t width = weight.size(0);
  if (x.size(-1) != (gated ? 2 : 1) * width) {
    throw Error(ErrorCode::kInternal, "layer_norm(): x does not fit.");
  }
  const auto rows = x.contiguous();
  auto sizes = x.sizes().vec();
  sizes.back() = width;
  auto out = at::empty(sizes, x.options().dtype(dtype));
  LayerNormView view;
  view.x = rows.const_data_ptr();
  view.row = rows.size(-1);
  view.rows = out.numel() / width;
  view.width = width;
  view.gated = gated;
  view.weight = weight.const_data_ptr<float>();
  view.bias = bias.const_data_ptr<float>();
  view.eps = static_cast<float>(eps);
  view.out = out.mutable_data_ptr();
  view.bfloat16_in = is_bfloat16(x.scalar_type());
  view.bfloat16_out = is_bfloat16(dtype);
  cpu::layer_norm(view);
  return out;
}

}  // namespace

at::Tensor layer_norm(const at::Tensor& x,
                      const at::Tensor& weight,
                      const at::Tensor& bias,
                      double eps,
                      at::ScalarType dtype) {
  if (has_twin(x, dtype)) return run(x, weight, bias, eps, dtype, false);
  return at::layer_norm(x.to(at::kFloat), weight.sizes(), weight, bias, eps)
      .to(dtype);
}

at::Tensor gated_layer_norm(const at::Tensor& x,
                            const at::Tensor& weight,
                            const at::Tensor& bias,
                            double eps,
                            at::ScalarType dtype) {
  if (has_twin(x, dtype)) return run(x, weight, bias, eps, dtype, true);
  const auto halves = x.to(at::kFloat).chunk(2, -1);
  return layer_norm(at::silu(halves[0]) * halves[1], weight, bias, eps, dtype);
}

}  // namespace declip

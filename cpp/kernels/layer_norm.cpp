#include "kernels/layer_norm.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "kernels/cuda/on_device.h"
#include "kernels/element_type.h"
#include "kernels/layer_norm_view.h"

namespace declip {
namespace {

bool has_kernel(const at::Tensor& x, at::ScalarType dtype) {
  const auto in = element_type(x.scalar_type()), out = element_type(dtype);
  return in && out && has_twin(x.device(), *in) && has_twin(x.device(), *out);
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
  view.in_type = *element_type(x.scalar_type());
  view.out_type = *element_type(dtype);
  if (view.rows == 0) return out;
  DECLIP_RUN_TWIN(x, layer_norm, view);
  return out;
}

}  // namespace

at::Tensor layer_norm(const at::Tensor& x,
                      const at::Tensor& weight,
                      const at::Tensor& bias,
                      double eps,
                      at::ScalarType dtype) {
  if (has_kernel(x, dtype)) return run(x, weight, bias, eps, dtype, false);
  return at::layer_norm(x.to(at::kFloat), weight.sizes(), weight, bias, eps)
      .to(dtype);
}

at::Tensor gated_layer_norm(const at::Tensor& x,
                            const at::Tensor& weight,
                            const at::Tensor& bias,
                            double eps,
                            at::ScalarType dtype) {
  if (has_kernel(x, dtype)) return run(x, weight, bias, eps, dtype, true);
  const auto halves = x.to(at::kFloat).chunk(2, -1);
  return layer_norm(at::silu(halves[0]) * halves[1], weight, bias, eps, dtype);
}

}  // namespace declip

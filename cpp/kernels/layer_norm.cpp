#include "kernels/layer_norm.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "kernels/cuda/on_device.h"
#include "kernels/element_type.h"
#include "kernels/layer_norm_args.h"

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
  LayerNormArgs args;
  args.x = rows.const_data_ptr();
  args.row = rows.size(-1);
  args.rows = out.numel() / width;
  args.width = width;
  args.gated = gated;
  args.weight = weight.const_data_ptr<float>();
  args.bias = bias.const_data_ptr<float>();
  args.eps = static_cast<float>(eps);
  args.out = out.mutable_data_ptr();
  args.in_type = *element_type(x.scalar_type());
  args.out_type = *element_type(dtype);
  if (args.rows == 0) return out;
  DECLIP_RUN_TWIN(x, layer_norm, args);
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

#include "kernels/quantize.h"

#include <ATen/ATen.h>

#include "declip/error.h"

namespace declip {

QuantizedRows quantize_rows(const at::Tensor& x) {
  if (x.dim() != 2 || !x.is_contiguous() || !x.is_cpu()) {
    throw Error(ErrorCode::kInternal,
                "quantize_rows() takes contiguous rows on the CPU.");
  }
  QuantizedRows rows{at::empty(x.sizes(), x.options().dtype(at::kByte)),
                     at::empty({x.size(0)}, x.options().dtype(at::kFloat))};
  QuantizeView view;
  view.x = x.const_data_ptr();
  view.bfloat16 = x.scalar_type() == at::kBFloat16;
  view.rows = x.size(0);
  view.width = x.size(1);
  view.values = rows.values.mutable_data_ptr<uint8_t>();
  view.scales = rows.scales.mutable_data_ptr<float>();
  cpu::quantize_rows(view);
  return rows;
}

at::Tensor dequantize_rows(const at::Tensor& x,
                           const at::Tensor& scales,
                           const at::Tensor& bias,
                           Epilogue epilogue,
                           const at::Tensor& residual,
                           at::ScalarType dtype) {
  if (x.dim() != 2 || !x.is_contiguous() ||
      (residual.defined() &&
       (!residual.is_contiguous() || residual.sizes() != x.sizes()))) {
    throw Error(ErrorCode::kInternal,
                "dequantize_rows() takes contiguous rows.");
  }
  auto out = at::empty(x.sizes(), x.options().dtype(dtype));
  DequantizeView view;
  view.x = x.const_data_ptr<float>();
  view.scales = scales.const_data_ptr<float>();
  if (bias.defined()) view.bias = bias.const_data_ptr<float>();
  if (residual.defined()) view.residual = residual.const_data_ptr<float>();
  view.epilogue = epilogue;
  view.rows = x.size(0);
  view.width = x.size(1);
  view.out = out.mutable_data_ptr();
  view.bfloat16 = dtype == at::kBFloat16;
  cpu::dequantize_rows(view);
  return out;
}

}  // namespace declip

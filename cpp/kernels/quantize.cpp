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
  QuantizeArgs args;
  args.x = x.const_data_ptr();
  args.bfloat16 = x.scalar_type() == at::kBFloat16;
  args.rows = x.size(0);
  args.width = x.size(1);
  args.values = rows.values.mutable_data_ptr<uint8_t>();
  args.scales = rows.scales.mutable_data_ptr<float>();
  cpu::quantize_rows(args);
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
  DequantizeArgs args;
  args.x = x.const_data_ptr<float>();
  args.scales = scales.const_data_ptr<float>();
  if (bias.defined()) args.bias = bias.const_data_ptr<float>();
  if (residual.defined()) args.residual = residual.const_data_ptr<float>();
  args.epilogue = epilogue;
  args.rows = x.size(0);
  args.width = x.size(1);
  args.out = out.mutable_data_ptr();
  args.bfloat16 = dtype == at::kBFloat16;
  cpu::dequantize_rows(args);
  return out;
}

}  // namespace declip

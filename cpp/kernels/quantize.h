#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/cpu/level.h"

namespace declip {

// Activations of 8-bit linear layers: every row (token) has a scale of its own,
// chosen from its largest value, as tokens of a ViT differ by orders of
// magnitude.

enum class Epilogue { kNone, kSilu, kGelu, kGeluTanh, kRelu };

/// Row r of x is scales[r] * (values[r] - 128).
struct QuantizedRows {
  at::Tensor values;  // uint8 [R, C]
  at::Tensor scales;  // float32 [R]
};

/// x float32 or bfloat16 [R, C], contiguous, on the CPU.
QuantizedRows quantize_rows(const at::Tensor& x);

/// What a layer of 8-bit products gives: epilogue(scales[r] * x[r] + bias),
/// plus residual[r].
///
/// x         float32 [R, C]
/// bias      float32 [C], or undefined
/// residual  float32 [R, C], or undefined
/// Returns [R, C] of `dtype`, float32 or bfloat16.
at::Tensor dequantize_rows(const at::Tensor& x,
                           const at::Tensor& scales,
                           const at::Tensor& bias,
                           Epilogue epilogue,
                           const at::Tensor& residual,
                           at::ScalarType dtype);

struct QuantizeArgs {
  const void* x = nullptr;
  bool bfloat16 = false;
  int64_t rows = 0;
  int64_t width = 0;
  uint8_t* values = nullptr;
  float* scales = nullptr;
};

struct DequantizeArgs {
  const float* x = nullptr;
  const float* scales = nullptr;
  const float* bias = nullptr;      // or null
  const float* residual = nullptr;  // or null
  Epilogue epilogue = Epilogue::kNone;
  int64_t rows = 0;
  int64_t width = 0;
  void* out = nullptr;
  bool bfloat16 = false;
};

namespace cpu {
DECLIP_CPU_TWIN(void, quantize_rows, (const QuantizeArgs& args), (args))
DECLIP_CPU_TWIN(void, dequantize_rows, (const DequantizeArgs& args), (args))
}  // namespace cpu

}  // namespace declip

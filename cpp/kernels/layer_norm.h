#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/cpu/level.h"

namespace declip {

/// (x - mean) / sqrt(variance + eps) * weight + bias over the last dimension.
///
/// x             float32 or bfloat16 [..., C], rows contiguous
/// weight, bias  float32 [C]
/// Returns [..., C] of `dtype`, float32 or bfloat16.
at::Tensor layer_norm(const at::Tensor& x,
                      const at::Tensor& weight,
                      const at::Tensor& bias,
                      double eps,
                      at::ScalarType dtype);

/// The same of silu(a) * b for x = [a, b], [..., 2 C].
at::Tensor gated_layer_norm(const at::Tensor& x,
                            const at::Tensor& weight,
                            const at::Tensor& bias,
                            double eps,
                            at::ScalarType dtype);

struct LayerNormView {
  const void* x = nullptr;  // row r starts at r * row elements
  int64_t row = 0;
  int64_t rows = 0;
  int64_t width = 0;  // C
  bool gated = false;
  const float* weight = nullptr;
  const float* bias = nullptr;
  float eps = 0.0f;
  void* out = nullptr;  // contiguous
  bool bfloat16_in = false;
  bool bfloat16_out = false;
};

namespace cpu {
DECLIP_CPU_TWIN(void, layer_norm, (const LayerNormView& norm), (norm))
}  // namespace cpu

}  // namespace declip

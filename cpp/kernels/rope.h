#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/cpu/level.h"

namespace declip {

/// Turns the channel pairs (0, 1), (2, 3), ... of the patches by their angles,
/// in place; token 0 stays.
///
/// x         float32 or bfloat16 [B, 1 + N, n, d] on the CPU, d contiguous,
/// even cos, sin  float32 [N, d]
void rotate_pairs(const at::Tensor& x,
                  const at::Tensor& cos,
                  const at::Tensor& sin);

struct RopeView {
  void* x = nullptr;
  int64_t batch = 0;  // strides in elements
  int64_t token = 0;
  int64_t head = 0;
  int64_t batches = 0;
  int64_t patches = 0;
  int64_t heads = 0;
  int64_t width = 0;
  const float* cos = nullptr;
  const float* sin = nullptr;
  bool bfloat16 = false;
};

namespace cpu {
DECLIP_CPU_TWIN(void, rotate_pairs, (const RopeView& view), (view))
}  // namespace cpu

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/cpu/level.h"
#include "kernels/element_math.h"

namespace declip {

// Convolutions of 3 x 3 places, stride 1, zeros around, by minimal filtering on
// tiles of 4 x 4 outputs: 36 products for what takes 144 directly. CPU alone;
// products and sums are float32 whatever the maps' dtype is.

/// Whether weights [O, C, 3, 3] can be computed so: C is a multiple of 16.
bool has_winograd(const at::Tensor& weight);

/// float32 [O, C, 3, 3] to [P, 36, C, 32], P times 32 output channels, the last
/// of them zeros.
at::Tensor winograd_weights(const at::Tensor& weight);

/// x [N, C, h, w] in channels-last memory, float32 or bfloat16; packed as
/// above; bias float32 [O]. [N, O, h, w] like x.
at::Tensor winograd_conv(const at::Tensor& x,
                         const at::Tensor& packed,
                         const at::Tensor& bias,
                         bool relu);

struct WinogradArgs {
  const void* x = nullptr;  // [images, height, width, in]
  int64_t images = 0, height = 0, width = 0, in = 0, out = 0;
  const float* weight = nullptr;  // [panels, 36, in, 32]
  int64_t panels = 0;
  const float* bias = nullptr;
  bool relu = false;
  void* y = nullptr;  // [images, height, width, out]
  ElementType type = ElementType::kFloat32;
  /// Tiles of a block, a multiple of winograd_rows(), and for every thread
  /// winograd_scratch() floats.
  int64_t block = 0;
  float* scratch = nullptr;
};

namespace cpu {
/// Tiles that the inner product takes at once.
DECLIP_CPU_TWIN(int64_t, winograd_rows, (), ())
/// Floats of scratch of a thread.
DECLIP_CPU_TWIN(int64_t, winograd_scratch, (const WinogradArgs& args), (args))
DECLIP_CPU_TWIN(void, winograd_conv, (const WinogradArgs& args), (args))
}  // namespace cpu

}  // namespace declip

// weights[k, i] = mask_k(i) / (sum of mask_k + 1e-12): two reads and a write.
// Masks in parallel.

#include <ATen/Parallel.h>

#include "kernels/mask_pool_view.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

/// T is float, or bool as a byte.
template <typename T>
void run(const MaskPoolView& view) {
  at::parallel_for(0, view.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const T* __restrict mask =
          static_cast<const T*>(view.masks) + k * view.pixels;
      float* __restrict out = view.weights + k * view.pixels;
      double area = 1e-12;
      for (int64_t i = 0; i < view.pixels; ++i) area += mask[i];
      const auto share = static_cast<float>(1.0 / area);
      for (int64_t i = 0; i < view.pixels; ++i) {
        out[i] = static_cast<float>(mask[i]) * share;
      }
    }
  });
}

}  // namespace

void mask_pool_weights(const MaskPoolView& view) {
  if (view.bytes) {
    run<uint8_t>(view);
  } else {
    run<float>(view);
  }
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

// weights[k, i] = mask_k(i) / (sum of mask_k + 1e-12): two reads and a write.
// Masks in parallel.

#include <ATen/Parallel.h>

#include "kernels/mask_pool_args.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

/// T is float, or bool as a byte.
template <typename T>
void run(const MaskPoolArgs& args) {
  at::parallel_for(0, args.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const T* __restrict mask =
          static_cast<const T*>(args.masks) + k * args.pixels;
      float* __restrict out = args.weights + k * args.pixels;
      double area = 1e-12;
      for (int64_t i = 0; i < args.pixels; ++i) area += mask[i];
      const auto share = static_cast<float>(1.0 / area);
      for (int64_t i = 0; i < args.pixels; ++i) {
        out[i] = static_cast<float>(mask[i]) * share;
      }
    }
  });
}

}  // namespace

void mask_pool_weights(const MaskPoolArgs& args) {
  if (args.bytes) {
    run<uint8_t>(args);
  } else {
    run<float>(args);
  }
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

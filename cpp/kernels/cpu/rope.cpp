// Three operations per channel; bound by reading and writing x once. The tables
// of a patch serve all its heads from the first-level cache.

#include <ATen/Parallel.h>

#include "kernels/element_math.h"
#include "kernels/rope_math.h"
#include "kernels/rope_view.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

template <typename T>
void run(const RopeView& view) {
  const int64_t rows = view.batches * view.patches;
  at::parallel_for(0, rows, 32, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t patch = r % view.patches;
      const float* __restrict cos = view.cos + patch * view.width;
      const float* __restrict sin = view.sin + patch * view.width;
      T* token = static_cast<T*>(view.x) + r / view.patches * view.batch +
                 (1 + patch) * view.token;
      for (int64_t h = 0; h < view.heads; ++h) {
        T* __restrict x = token + h * view.head;
        for (int64_t i = 0; i < view.width; i += 2) {
          const float a = value(x[i]), b = value(x[i + 1]);
          put(rotated(a, b, -1.0f, cos[i], sin[i]), x[i]);
          put(rotated(b, a, 1.0f, cos[i + 1], sin[i + 1]), x[i + 1]);
        }
      }
    }
  });
}

}  // namespace

void rotate_pairs(const RopeView& view) {
  if (view.type == ElementType::kBFloat16) {
    run<BFloat16>(view);
  } else {
    run<float>(view);
  }
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

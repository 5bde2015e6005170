// Three operations per channel; bound by reading and writing x once. The tables
// of a patch serve all its heads from the first-level cache.

#include <ATen/Parallel.h>

#include "kernels/element_math.h"
#include "kernels/rope_args.h"
#include "kernels/rope_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

template <typename T>
void run(const RopeArgs& args) {
  const int64_t rows = args.batches * args.patches;
  at::parallel_for(0, rows, 32, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t patch = r % args.patches;
      const float* __restrict cos = args.cos + patch * args.width;
      const float* __restrict sin = args.sin + patch * args.width;
      T* token = static_cast<T*>(args.x) + r / args.patches * args.batch +
                 (args.prefix + patch) * args.token;
      for (int64_t h = 0; h < args.heads; ++h) {
        T* __restrict x = token + h * args.head;
        for (int64_t i = 0; i < args.width; i += 2) {
          const float a = value(x[i]), b = value(x[i + 1]);
          put(rotated(a, b, -1.0f, cos[i], sin[i]), x[i]);
          put(rotated(b, a, 1.0f, cos[i + 1], sin[i + 1]), x[i + 1]);
        }
      }
    }
  });
}

}  // namespace

void rotate_pairs(const RopeArgs& args) {
  if (args.type == ElementType::kBFloat16) {
    run<BFloat16>(args);
  } else {
    run<float>(args);
  }
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

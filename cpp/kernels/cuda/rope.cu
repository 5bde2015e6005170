// One thread per pair of channels, neighbours in a warp side by side: bound by
// reading and writing x once; the tables stay in the second-level cache.

#include "kernels/cuda/cuda_common.cuh"
#include "kernels/rope_math.h"
#include "kernels/rope_view.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

/// T is an element type. Item ((b * patches + patch) * heads + h) * pairs + p.
template <typename T>
__global__ void rotate(RopeView view, int64_t items) {
  const int64_t item = item_index();
  if (item >= items) return;
  const int64_t pairs = view.width / 2;
  const int64_t i = item % pairs * 2;
  const int64_t h = item / pairs % view.heads;
  const int64_t row = item / pairs / view.heads;
  const int64_t patch = row % view.patches;
  const int64_t b = row / view.patches;
  T* x = static_cast<T*>(view.x) + b * view.batch + (1 + patch) * view.token +
         h * view.head + i;
  const float* cos = view.cos + patch * view.width + i;
  const float* sin = view.sin + patch * view.width + i;
  const float first = value(x[0]), second = value(x[1]);
  put(rotated(first, second, -1.0f, cos[0], sin[0]), x[0]);
  put(rotated(second, first, 1.0f, cos[1], sin[1]), x[1]);
}

template <typename T>
void run(const RopeView& view, Stream stream) {
  const int64_t items =
      view.batches * view.patches * view.heads * (view.width / 2);
  if (items == 0) return;
  launch("rotate_pairs",
         rotate<T>,
         blocks_for(items),
         dim3(kItemBlock, 1, 1),
         stream,
         view,
         items);
}

}  // namespace

void rotate_pairs(const RopeView& view, Stream stream) {
  switch (view.type) {
    case ElementType::kBFloat16:
      return run<BFloat16>(view, stream);
    case ElementType::kFloat16:
      return run<Float16>(view, stream);
    default:
      return run<float>(view, stream);
  }
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

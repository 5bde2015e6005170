// One thread per pair of channels, neighbours in a warp side by side: bound by
// reading and writing x once; the tables stay in the second-level cache.

#include "kernels/cuda/cuda_common.cuh"
#include "kernels/rope_args.h"
#include "kernels/rope_math.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

/// T is an element type. Item ((b * patches + patch) * heads + h) * pairs + p.
template <typename T>
__global__ void rotate(RopeArgs args, int64_t items) {
  const int64_t item = item_index();
  if (item >= items) return;
  const int64_t pairs = args.width / 2;
  const int64_t i = item % pairs * 2;
  const int64_t h = item / pairs % args.heads;
  const int64_t row = item / pairs / args.heads;
  const int64_t patch = row % args.patches;
  const int64_t b = row / args.patches;
  T* x = static_cast<T*>(args.x) + b * args.batch +
         (args.prefix + patch) * args.token + h * args.head + i;
  const float* cos = args.cos + patch * args.width + i;
  const float* sin = args.sin + patch * args.width + i;
  const float first = value(x[0]), second = value(x[1]);
  put(rotated(first, second, -1.0f, cos[0], sin[0]), x[0]);
  put(rotated(second, first, 1.0f, cos[1], sin[1]), x[1]);
}

template <typename T>
void run(const RopeArgs& args, Stream stream) {
  const int64_t items =
      args.batches * args.patches * args.heads * (args.width / 2);
  if (items == 0) return;
  launch("rotate_pairs",
         rotate<T>,
         blocks_for(items),
         dim3(kItemBlock, 1, 1),
         stream,
         args,
         items);
}

}  // namespace

void rotate_pairs(const RopeArgs& args, Stream stream) {
  switch (args.type) {
    case ElementType::kBFloat16:
      return run<BFloat16>(args, stream);
    case ElementType::kFloat16:
      return run<Float16>(args, stream);
    default:
      return run<float>(args, stream);
  }
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

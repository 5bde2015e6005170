// Two kernels: every pair of boxes is compared by one thread of 64 pairs, which
// writes a word of bits; then one block goes through the boxes in their order
// and gathers what those that are kept remove. K^2 / 8 bytes of bits.

#include "kernels/cuda/cuda_common.cuh"
#include "kernels/nms_args.h"
#include "kernels/nms_math.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

constexpr int kBits = 64;

__device__ int64_t words_of(int64_t count) {
  return (count + kBits - 1) / kBits;
}

__device__ float area_of(const float* box) {
  return nms_area(box[0], box[1], box[2], box[3]);
}

/// Bit j of row i: box i removes box j, which comes later.
__global__ void compare(NmsArgs args) {
  const int64_t words = words_of(args.count);
  const int64_t item = item_index();
  if (item >= args.count * words) return;
  const int64_t i = item / words;
  const int64_t first = item % words * kBits;
  const float* a = args.boxes + 4 * i;
  const float area = area_of(a);
  uint64_t bits = 0;
  for (int64_t j = first > i ? first : i + 1;
       j < first + kBits && j < args.count;
       ++j) {
    const float* b = args.boxes + 4 * j;
    if (args.classes != nullptr && args.classes[i] != args.classes[j]) continue;
    if (nms_overlap(nms_side(a[0], b[0], a[2], b[2]),
                    nms_side(a[1], b[1], a[3], b[3]),
                    area,
                    area_of(b),
                    args.threshold)) {
      bits |= uint64_t{1} << (j - first);
    }
  }
  args.overlaps[item] = bits;
}

/// One block.
__global__ void choose(NmsArgs args) {
  const int64_t words = words_of(args.count);
  uint64_t* removed = args.overlaps + args.count * words;
  for (int64_t i = 0; i < args.count; ++i) {
    __syncthreads();
    const bool gone = (removed[i / kBits] >> (i % kBits) & 1) != 0;
    __syncthreads();
    if (threadIdx.x == 0) args.kept[i] = gone ? 0 : 1;
    if (gone) continue;
    for (int64_t w = i / kBits + threadIdx.x; w < words; w += kItemBlock) {
      removed[w] |= args.overlaps[i * words + w];
    }
  }
}

}  // namespace

void nms(const NmsArgs& args, Stream stream) {
  const int64_t words = (args.count + kBits - 1) / kBits;
  launch("nms_compare",
         compare,
         blocks_for(args.count * words),
         dim3(kItemBlock, 1, 1),
         stream,
         args);
  launch("nms_choose",
         choose,
         dim3(1, 1, 1),
         dim3(kItemBlock, 1, 1),
         stream,
         args);
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

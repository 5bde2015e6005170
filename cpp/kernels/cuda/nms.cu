// Two kernels: every pair of boxes is compared by one thread of 64 pairs, which
// writes a word of bits; then one block goes through the boxes in their order
// and gathers what those that are kept remove, until enough are kept. K^2 / 8
// bytes of bits.

#include "kernels/cuda/cuda_common.cuh"
#include "kernels/nms_args.h"
#include "kernels/nms_math.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

constexpr int kBits = 64;

__device__ int64_t words_of(int64_t count) {
  return (count + kBits - 1) / kBits;
}

/// Bit j of row i: box i removes box j, which comes later.
__global__ void compare(NmsArgs args) {
  const int64_t words = words_of(args.count);
  const int64_t item = item_index();
  if (item >= args.count * words) return;
  const int64_t i = item / words;
  const int64_t first = item % words * kBits;
  const bool apart = args.classes != nullptr && args.apart;
  const NmsBox a = nms_box(args.boxes, args.classes, args.shift, i);
  uint64_t bits = 0;
  for (int64_t j = first > i ? first : i + 1;
       j < first + kBits && j < args.count;
       ++j) {
    if (apart && args.classes[i] != args.classes[j]) continue;
    const NmsBox b = nms_box(args.boxes, args.classes, args.shift, j);
    if (nms_overlap(nms_side(a.x1, b.x1, a.x2, b.x2),
                    nms_side(a.y1, b.y1, a.y2, b.y2),
                    a.area,
                    b.area,
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
  int64_t kept = 0;  // the same in every thread
  for (int64_t i = 0; i < args.count; ++i) {
    __syncthreads();
    const bool gone =
        kept == args.limit || (removed[i / kBits] >> (i % kBits) & 1) != 0;
    __syncthreads();
    if (threadIdx.x == 0) args.kept[i] = gone ? 0 : 1;
    if (gone) continue;
    ++kept;
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

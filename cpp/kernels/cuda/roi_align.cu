// weights[k, (ph, pw), (y, x)] = rows[ph, y] columns[pw, x] for box k. One
// thread per weight, which sums its two factors over the samples of its bin:
// about as many operations as the bin is patches high and wide, 4 bytes
// written.

#include "kernels/cuda/cuda_common.cuh"
#include "kernels/roi_align_args.h"
#include "kernels/roi_align_math.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

__global__ void weigh(RoiAlignArgs args, int64_t items) {
  const int64_t item = item_index();
  if (item >= items) return;
  const int64_t x = item % args.width;
  const int64_t y = item / args.width % args.height;
  const int64_t bin = item / args.width / args.height;
  const int64_t pw = bin % args.out_width;
  const int64_t ph = bin / args.out_width % args.out_height;
  const float* box = args.boxes + bin / args.out_width / args.out_height * 4;
  const float down =
      bin_weight(roi_axis(box[1], box[3], args.out_height), ph, args.height, y);
  const float across =
      bin_weight(roi_axis(box[0], box[2], args.out_width), pw, args.width, x);
  args.weights[item] = down * across;
}

}  // namespace

void roi_align_weights(const RoiAlignArgs& args, Stream stream) {
  const int64_t items =
      args.count * args.out_height * args.out_width * args.height * args.width;
  launch("roi_align_weights",
         weigh,
         blocks_for(items),
         dim3(kItemBlock, 1, 1),
         stream,
         args,
         items);
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

// weights[k, (ph, pw), (y, x)] = rows[ph, y] columns[pw, x] for box k. One
// thread per weight, which sums its two factors over the samples of its bin:
// about as many operations as the bin is patches high and wide, 4 bytes
// written.

#include "kernels/cuda/cuda_common.cuh"
#include "kernels/roi_align_math.h"
#include "kernels/roi_align_view.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

__global__ void weigh(RoiAlignView view, int64_t items) {
  const int64_t item = item_index();
  if (item >= items) return;
  const int64_t x = item % view.width;
  const int64_t y = item / view.width % view.height;
  const int64_t bin = item / view.width / view.height;
  const int64_t pw = bin % view.out_width;
  const int64_t ph = bin / view.out_width % view.out_height;
  const float* box = view.boxes + bin / view.out_width / view.out_height * 4;
  const float down =
      bin_weight(roi_axis(box[1], box[3], view.out_height), ph, view.height, y);
  const float across =
      bin_weight(roi_axis(box[0], box[2], view.out_width), pw, view.width, x);
  view.weights[item] = down * across;
}

}  // namespace

void roi_align_weights(const RoiAlignView& view, Stream stream) {
  const int64_t items =
      view.count * view.out_height * view.out_width * view.height * view.width;
  launch("roi_align_weights",
         weigh,
         blocks_for(items),
         dim3(kItemBlock, 1, 1),
         stream,
         view,
         items);
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

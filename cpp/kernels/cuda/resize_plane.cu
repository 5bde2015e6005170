// One thread per output pixel: four samples, of which neighbours share most
// through the first-level cache, and 9 operations; 4 bytes written.

#include "kernels/bilinear_math.h"
#include "kernels/cuda/cuda_common.cuh"
#include "kernels/resize_plane_view.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

__global__ void resize(ResizeView view) {
  const int64_t item = item_index();
  if (item >= view.out_height * view.out_width) return;
  const BilinearTap y =
      bilinear_tap(item / view.out_width, view.in_height, view.out_height);
  const BilinearTap x =
      bilinear_tap(item % view.out_width, view.in_width, view.out_width);
  const float* upper = view.in + y.first * view.in_width;
  const float* lower = view.in + y.second * view.in_width;
  view.out[item] = lerp(lerp(upper[x.first], lower[x.first], y.weight),
                        lerp(upper[x.second], lower[x.second], y.weight),
                        x.weight);
}

}  // namespace

void resize_plane(const ResizeView& view, Stream stream) {
  launch("resize_plane",
         resize,
         blocks_for(view.out_height * view.out_width),
         dim3(kItemBlock, 1, 1),
         stream,
         view);
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

// One thread per output pixel: four samples, of which neighbours share most
// through the first-level cache, and 9 operations; 4 bytes written.

#include "kernels/bilinear_math.h"
#include "kernels/cuda/cuda_common.cuh"
#include "kernels/resize_plane_args.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

__global__ void resize(ResizeArgs args) {
  const int64_t item = item_index();
  const int64_t rows = args.out_end - args.out_begin;
  if (item >= rows * args.columns.out) return;
  const BilinearTap y = bilinear_tap(
      args.out_begin + item / args.columns.out, args.rows.in, args.rows.out);
  const BilinearTap x =
      bilinear_tap(item % args.columns.out, args.columns.in, args.columns.out);
  const float* upper = args.in + (y.first - args.in_begin) * args.columns.in;
  const float* lower = args.in + (y.second - args.in_begin) * args.columns.in;
  args.out[item] = lerp(lerp(upper[x.first], lower[x.first], y.weight),
                        lerp(upper[x.second], lower[x.second], y.weight),
                        x.weight);
}

}  // namespace

void resize_plane(const ResizeArgs& args, Stream stream) {
  launch("resize_plane",
         resize,
         blocks_for((args.out_end - args.out_begin) * args.columns.out),
         dim3(kItemBlock, 1, 1),
         stream,
         args);
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

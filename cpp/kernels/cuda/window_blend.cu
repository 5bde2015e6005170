// out(y, x) = mean over the windows (i, j) at (y, x) of their upsampled maps.
//
// One thread per pixel. As on the CPU, windows of one column j share their
// horizontal weights: their two map columns are summed over i first. 4 reads of
// maps, which are small and stay in the first-level cache, and 6 operations for
// each window over the pixel; 4 bytes written.

#include "kernels/bilinear_math.h"
#include "kernels/cuda/cuda_common.cuh"
#include "kernels/window_blend_args.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

__global__ void blend(BlendArgs args) {
  const BlendAxisArgs& rows = args.rows;
  const BlendAxisArgs& columns = args.columns;
  const int64_t item = item_index();
  if (item >= (args.row_end - args.row_begin) * columns.extent) return;
  const int64_t y = args.row_begin + item / columns.extent;
  const int64_t x = item % columns.extent;
  float sum = 0.0f;
  for (int64_t j = columns.cover_begin[x]; j < columns.cover_end[x]; ++j) {
    const int64_t across = x - columns.starts[j];
    const int64_t first = columns.first[across];
    const int64_t second = columns.second[across];
    float left = 0.0f, right = 0.0f;
    for (int64_t i = rows.cover_begin[y]; i < rows.cover_end[y]; ++i) {
      const int64_t down = y - rows.starts[i];
      const float* map =
          args.low + (i * columns.windows + j) * args.window_step;
      const float* upper = map + rows.first[down] * columns.grid;
      const float* lower = map + rows.second[down] * columns.grid;
      left += lerp(upper[first], lower[first], rows.weight[down]);
      right += lerp(upper[second], lower[second], rows.weight[down]);
    }
    sum += lerp(left, right, columns.weight[across]);
  }
  const int32_t windows_down = rows.cover_end[y] - rows.cover_begin[y];
  const int32_t windows_across = columns.cover_end[x] - columns.cover_begin[x];
  args.out[item] = sum / static_cast<float>(windows_down * windows_across);
}

}  // namespace

void window_blend(const BlendArgs& args, Stream stream) {
  launch("window_blend",
         blend,
         blocks_for((args.row_end - args.row_begin) * args.columns.extent),
         dim3(kItemBlock, 1, 1),
         stream,
         args);
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

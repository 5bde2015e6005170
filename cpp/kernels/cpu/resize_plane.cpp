// out(y, x) = bilinear sample of in; rows in parallel. A row is first blended
// vertically into a buffer of the source's width, which stays in the cache for
// the horizontal pass: 3 operations per source column, 3 and a gather per
// output pixel.

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "kernels/bilinear_math.h"
#include "kernels/resize_plane_args.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {

void resize_taps(const ResizeAxisArgs& axis) {
  for (int64_t i = 0; i < axis.out; ++i) {
    const BilinearTap tap = bilinear_tap(i, axis.in, axis.out);
    axis.first[i] = static_cast<int32_t>(tap.first);
    axis.second[i] = static_cast<int32_t>(tap.second);
    axis.weight[i] = tap.weight;
  }
}

void resize_plane(const ResizeArgs& args) {
  const ResizeAxisArgs& rows = args.rows;
  const int64_t in_width = args.columns.in, out_width = args.columns.out;
  const int32_t* first = args.columns.first;
  const int32_t* second = args.columns.second;
  const float* weight = args.columns.weight;
  at::parallel_for(
      args.out_begin, args.out_end, 16, [&](int64_t begin, int64_t end) {
        std::vector<float> buffer(in_width);
        float* __restrict row = buffer.data();
        for (int64_t y = begin; y < end; ++y) {
          const float* upper =
              args.in + (rows.first[y] - args.in_begin) * in_width;
          const float* lower =
              args.in + (rows.second[y] - args.in_begin) * in_width;
          const float down = rows.weight[y];
          for (int64_t x = 0; x < in_width; ++x) {
            row[x] = lerp(upper[x], lower[x], down);
          }
          float* __restrict target =
              args.out + (y - args.out_begin) * out_width;
          if (in_width == out_width) {
            std::copy_n(row, in_width, target);
            continue;
          }
          for (int64_t x = 0; x < out_width; ++x) {
            target[x] = lerp(row[first[x]], row[second[x]], weight[x]);
          }
        }
      });
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

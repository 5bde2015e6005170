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

void resize_plane(const ResizeArgs& args) {
  const float* in = args.in;
  float* out = args.out;
  const int64_t in_height = args.in_height, in_width = args.in_width;
  const int64_t out_height = args.out_height, out_width = args.out_width;
  // Indices of 32 bits: what AVX2 gathers with.
  std::vector<int32_t> first(out_width), second(out_width);
  std::vector<float> weight(out_width);
  for (int64_t x = 0; x < out_width; ++x) {
    const BilinearTap tap = bilinear_tap(x, in_width, out_width);
    first[x] = static_cast<int32_t>(tap.first);
    second[x] = static_cast<int32_t>(tap.second);
    weight[x] = tap.weight;
  }
  at::parallel_for(0, out_height, 16, [&](int64_t begin, int64_t end) {
    std::vector<float> buffer(in_width);
    float* __restrict row = buffer.data();
    for (int64_t y = begin; y < end; ++y) {
      const BilinearTap tap = bilinear_tap(y, in_height, out_height);
      const float* upper = in + tap.first * in_width;
      const float* lower = in + tap.second * in_width;
      for (int64_t x = 0; x < in_width; ++x) {
        row[x] = lerp(upper[x], lower[x], tap.weight);
      }
      float* __restrict target = out + y * out_width;
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

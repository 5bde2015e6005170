// weights[k, (ph, pw), (y, x)] = rows[ph, y] columns[pw, x] for box k. Boxes in
// parallel; a box's axis vectors take a few operations per sample, the products
// h w writes per bin.

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "kernels/roi_align_args.h"
#include "kernels/roi_align_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

/// Weights [bins, extent] of one axis of a box.
void axis_weights(float low,
                  float high,
                  int64_t extent,
                  int64_t bins,
                  std::vector<float>& weights) {
  std::fill(weights.begin(), weights.end(), 0.0f);
  const RoiAxis axis = roi_axis(low, high, bins);
  for (int64_t bin = 0; bin < bins; ++bin) {
    add_bin_weights(axis, bin, extent, weights.data() + bin * extent);
  }
}

}  // namespace

void roi_align_weights(const RoiAlignArgs& args) {
  const int64_t map = args.height * args.width;
  at::parallel_for(0, args.count, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> rows(args.out_height * args.height);
    std::vector<float> columns(args.out_width * args.width);
    for (int64_t k = begin; k < end; ++k) {
      const float* box = args.boxes + 4 * k;
      axis_weights(box[0], box[2], args.width, args.out_width, columns);
      axis_weights(box[1], box[3], args.height, args.out_height, rows);
      float* out = args.weights + k * args.out_height * args.out_width * map;
      for (int64_t ph = 0; ph < args.out_height; ++ph) {
        for (int64_t pw = 0; pw < args.out_width; ++pw) {
          const float* __restrict across = columns.data() + pw * args.width;
          for (int64_t y = 0; y < args.height; ++y, out += args.width) {
            const float down = rows[ph * args.height + y];
            float* __restrict target = out;
            for (int64_t x = 0; x < args.width; ++x) {
              target[x] = down * across[x];
            }
          }
        }
      }
    }
  });
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

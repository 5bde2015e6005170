// weights[k, (ph, pw), (y, x)] = rows[ph, y] columns[pw, x] for box k. Boxes in
// parallel; a box's axis vectors take a few operations per sample, the products
// h w writes per bin.

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "kernels/roi_align_math.h"
#include "kernels/roi_align_view.h"

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

void roi_align_weights(const RoiAlignView& view) {
  const int64_t map = view.height * view.width;
  at::parallel_for(0, view.count, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> rows(view.out_height * view.height);
    std::vector<float> columns(view.out_width * view.width);
    for (int64_t k = begin; k < end; ++k) {
      const float* box = view.boxes + 4 * k;
      axis_weights(box[0], box[2], view.width, view.out_width, columns);
      axis_weights(box[1], box[3], view.height, view.out_height, rows);
      float* out = view.weights + k * view.out_height * view.out_width * map;
      for (int64_t ph = 0; ph < view.out_height; ++ph) {
        for (int64_t pw = 0; pw < view.out_width; ++pw) {
          const float* __restrict across = columns.data() + pw * view.width;
          for (int64_t y = 0; y < view.height; ++y, out += view.width) {
            const float down = rows[ph * view.height + y];
            float* __restrict target = out;
            for (int64_t x = 0; x < view.width; ++x) {
              target[x] = down * across[x];
            }
          }
        }
      }
    }
  });
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

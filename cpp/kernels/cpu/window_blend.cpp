// out(y, x) = mean over the windows (i, j) at (y, x) of their upsampled maps.
//
// Upsampling is linear and windows of one column j share their horizontal
// weights, so a row first sums the vertically blended maps over i, on the patch
// grid, and goes to pixels once per column of windows: with windows of 224
// pixels every 28, 8 additions per pixel instead of 64. Rows in parallel; no
// upsampled window is ever stored.

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "kernels/bilinear_math.h"
#include "kernels/window_blend_args.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

/// Window pixels begin..end that lie between the same two patches.
struct Run {
  int64_t begin;
  int64_t end;
  int32_t first;
  int32_t second;
};

std::vector<Run> runs_of(const BlendAxisArgs& axis) {
  std::vector<Run> runs;
  for (int64_t x = 0; x < axis.pixels; ++x) {
    if (x == 0 || axis.first[x] != axis.first[x - 1]) {
      runs.push_back({x, x, axis.first[x], axis.second[x]});
    }
    runs.back().end = x + 1;
  }
  return runs;
}

}  // namespace

void window_blend(const BlendArgs& args) {
  const BlendAxisArgs& rows = args.rows;
  const BlendAxisArgs& columns = args.columns;
  const float* low = args.low;
  const int64_t window_step = args.window_step;
  float* out = args.out;
  const int64_t window_columns = columns.windows;
  const int64_t grid = columns.grid;
  const float* weights = columns.weight;
  const std::vector<Run> runs = runs_of(columns);
  at::parallel_for(
      args.row_begin, args.row_end, 16, [&](int64_t begin, int64_t end) {
        std::vector<float> sums(window_columns *
                                grid);  // one map row per column j
        for (int64_t y = begin; y < end; ++y) {
          std::fill(sums.begin(), sums.end(), 0.0f);
          for (int64_t i = rows.cover_begin[y]; i < rows.cover_end[y]; ++i) {
            const int64_t inside = y - rows.starts[i];
            const float weight = rows.weight[inside];
            for (int64_t j = 0; j < window_columns; ++j) {
              const float* map = low + (i * window_columns + j) * window_step;
              const float* upper = map + rows.first[inside] * grid;
              const float* lower = map + rows.second[inside] * grid;
              float* __restrict sum = sums.data() + j * grid;
              for (int64_t k = 0; k < grid; ++k)
                sum[k] += lerp(upper[k], lower[k], weight);
            }
          }
          float* __restrict row = out + (y - args.row_begin) * columns.extent;
          std::fill_n(row, columns.extent, 0.0f);
          for (int64_t j = 0; j < window_columns; ++j) {
            const float* sum = sums.data() + j * grid;
            float* __restrict target = row + columns.starts[j];
            for (const Run& run : runs) {
              const float a = sum[run.first];
              const float b = sum[run.second];
              for (int64_t x = run.begin; x < run.end; ++x) {
                target[x] += lerp(a, b, weights[x]);
              }
            }
          }
          const int32_t windows_down = rows.cover_end[y] - rows.cover_begin[y];
          for (int64_t x = 0; x < columns.extent; ++x) {
            const int32_t windows_across =
                columns.cover_end[x] - columns.cover_begin[x];
            row[x] /= static_cast<float>(windows_down * windows_across);
          }
        }
      });
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

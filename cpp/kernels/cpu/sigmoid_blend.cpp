// out(y, x) = (mean over the windows at (y, x) of sigmoid(upsampled logits)
//              + upsampled sigmoid(upsampled logits of the whole picture)) / 2
//
// The sigmoid stands between two resizes, so that every window's pixels have to
// be made: a row of them at a time, in the cache. Per pixel of a window: 3
// operations and a gather, one exponential and a division. Two rows of the
// whole picture's pixels are kept, as neighbouring rows of the canvas lie
// between the same ones. Rows in parallel.

#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/bilinear_math.h"
#include "kernels/exp_math.h"
#include "kernels/sigmoid_blend_args.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

inline float sigmoid_of(float z) {
  const float e = exp_negative(z > 0.0f ? -z : z);
  const float low = e / (1.0f + e);
  return z > 0.0f ? 1.0f - low : low;
}

/// Row y of a window's pixels: `add` or set in `out`. `buffer` has a row of
/// logits.
template <bool kAdd>
void probability_row(const float* map,
                     const ResizeAxisArgs& axis,
                     int64_t y,
                     float* __restrict buffer,
                     float* __restrict out) {
  const int64_t in = axis.in, pixels = axis.out;
  const float* upper = map + axis.first[y] * in;
  const float* lower = map + axis.second[y] * in;
  const float down = axis.weight[y];
  for (int64_t x = 0; x < in; ++x) buffer[x] = lerp(upper[x], lower[x], down);
  const int32_t* first = axis.first;
  const int32_t* second = axis.second;
  const float* weight = axis.weight;
  for (int64_t x = 0; x < pixels; ++x) {
    const float z = lerp(buffer[first[x]], buffer[second[x]], weight[x]);
    const float p = sigmoid_of(z);
    if (kAdd) {
      out[x] += p;
    } else {
      out[x] = p;
    }
  }
}

/// Rows of the whole picture's pixels, of which two are kept.
class WholeRows {
 public:
  WholeRows(const float* map, const ResizeAxisArgs& axis)
      : map_(map), axis_(axis), buffer_(axis.in) {
    for (auto& row : rows_) row.resize(axis.out);
  }

  /// The other row that was asked for last stays.
  const float* row(int64_t y) {
    if (held_[0] == y || held_[1] == y) {
      last_ = held_[0] == y ? 0 : 1;
    } else {
      last_ = 1 - last_;
      held_[last_] = y;
      probability_row<false>(
          map_, axis_, y, buffer_.data(), rows_[last_].data());
    }
    return rows_[last_].data();
  }

 private:
  const float* map_;
  const ResizeAxisArgs& axis_;
  std::vector<float> buffer_;
  std::vector<float> rows_[2];
  int64_t held_[2] = {-1, -1};
  int last_ = 1;
};

/// Windows that lie over pixel x.
int64_t windows_over(const SigmoidBlendArgs& args, int64_t x) {
  int64_t count = 0;
  for (int64_t i = 0; i < args.windows; ++i) {
    count += x >= args.starts[i] && x < args.starts[i] + args.window.out;
  }
  return count;
}

}  // namespace

void sigmoid_blend(const SigmoidBlendArgs& args) {
  const int64_t width = args.canvas.out, pixels = args.window.out;
  std::vector<float> across(width);
  for (int64_t x = 0; x < width; ++x) {
    across[x] = static_cast<float>(windows_over(args, x));
  }
  at::parallel_for(
      args.row_begin, args.row_end, 16, [&](int64_t begin, int64_t end) {
        std::vector<float> buffer(args.window.in), between(pixels);
        WholeRows whole(args.whole, args.window);
        for (int64_t y = begin; y < end; ++y) {
          float* __restrict row = args.out + (y - args.row_begin) * width;
          std::fill_n(row, width, 0.0f);
          for (int64_t i = 0; i < args.windows; ++i) {
            const int64_t inside = y - args.starts[i];
            if (inside < 0 || inside >= pixels) continue;
            for (int64_t j = 0; j < args.windows; ++j) {
              const float* map = args.maps[i * args.windows + j];
              if (map == nullptr) continue;
              probability_row<true>(map,
                                    args.window,
                                    inside,
                                    buffer.data(),
                                    row + args.starts[j]);
            }
          }
          const auto down = static_cast<float>(windows_over(args, y));
          for (int64_t x = 0; x < width; ++x) {
            row[x] = 0.5f * (row[x] / (down * across[x]));
          }
          if (args.whole == nullptr) continue;
          const float* upper = whole.row(args.canvas.first[y]);
          const float* lower = whole.row(args.canvas.second[y]);
          const float weight = args.canvas.weight[y];
          float* __restrict mixed = between.data();
          for (int64_t x = 0; x < pixels; ++x) {
            mixed[x] = lerp(upper[x], lower[x], weight);
          }
          const int32_t* first = args.canvas.first;
          const int32_t* second = args.canvas.second;
          const float* right = args.canvas.weight;
          for (int64_t x = 0; x < width; ++x) {
            row[x] += 0.5f * lerp(mixed[first[x]], mixed[second[x]], right[x]);
          }
        }
      });
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

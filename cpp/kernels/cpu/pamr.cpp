// With x the image, r a dilation, p one of the P = 8 D neighbours of pixel i:
//
//   kappa(i, p) = -mean_c |x_c(i) - x_c(p)| / (1e-8 + std_c(i) / 10)
//   weight(i, .) = softmax over p of kappa(i, .)
//   out_k(i) = sum_p weight(i, p) in_k(p)          for every plane k
//
// std is over the 9 D samples of all dilations together, the centre once per
// dilation. Rows in parallel; along a row everything is contiguous because rows
// carry margins. A step reads P weights per pixel once for all its planes:
// 2 P operations per pixel and plane, 4 P / K bytes for K planes, and the
// planes themselves, of which the rows in use stay in the cache.

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/exp_math.h"
#include "kernels/pamr_args.h"
#include "kernels/pamr_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

const float* row_of(const PaddedPlanes& planes,
                    int64_t plane,
                    int64_t y,
                    int64_t height) {
  return planes.data + plane * planes.plane +
         clamp_index(y, height) * planes.row;
}

void add_row(const float* __restrict row,
             int64_t width,
             float* __restrict sum) {
  for (int64_t x = 0; x < width; ++x) sum[x] += row[x];
}

void add_squares(const float* __restrict row,
                 const float* __restrict mean,
                 int64_t width,
                 float* __restrict sum) {
  for (int64_t x = 0; x < width; ++x) {
    const float distance = row[x] - mean[x];
    sum[x] += distance * distance;
  }
}

/// Calls sample(row) for the 9 D rows of samples around row y of one channel.
template <typename Sample>
void each_sample(const PamrShape& shape,
                 const PaddedPlanes& image,
                 int64_t channel,
                 int64_t y,
                 Sample&& sample) {
  for (int64_t d = 0; d < shape.dilation_count; ++d) {
    const int64_t r = shape.dilations[d];
    for (int64_t dy = -r; dy <= r; dy += r) {
      const float* row = row_of(image, channel, y + dy, shape.height);
      for (int64_t dx = -r; dx <= r; dx += r) sample(row + dx);
    }
  }
}

/// Factor on the differences of one channel along row y.
void contrast_row(const PamrShape& shape,
                  const PaddedPlanes& image,
                  int64_t channel,
                  int64_t y,
                  float* mean,
                  float* contrast) {
  const int64_t width = shape.width;
  const int64_t samples = 9 * shape.dilation_count;
  std::fill_n(mean, width, 0.0f);
  each_sample(shape, image, channel, y, [&](const float* row) {
    add_row(row, width, mean);
  });
  for (int64_t x = 0; x < width; ++x) mean[x] /= static_cast<float>(samples);
  std::fill_n(contrast, width, 0.0f);
  each_sample(shape, image, channel, y, [&](const float* row) {
    add_squares(row, mean, width, contrast);
  });
  for (int64_t x = 0; x < width; ++x) {
    contrast[x] = pamr_contrast(contrast[x], samples);
  }
}

void subtract_distance(const float* __restrict center,
                       const float* __restrict neighbour,
                       const float* __restrict contrast,
                       int64_t width,
                       float* __restrict kappa) {
  for (int64_t x = 0; x < width; ++x) {
    kappa[x] -= pamr_distance(center[x], neighbour[x], contrast[x]);
  }
}

/// Softmax over the `count` rows of [count, width], in place.
void softmax_rows(float* __restrict rows,
                  int64_t count,
                  int64_t width,
                  float* __restrict peak,
                  float* __restrict sum) {
  std::copy_n(rows, width, peak);
  for (int64_t p = 1; p < count; ++p) {
    const float* row = rows + p * width;
    for (int64_t x = 0; x < width; ++x)
      peak[x] = row[x] > peak[x] ? row[x] : peak[x];
  }
  std::fill_n(sum, width, 0.0f);
  for (int64_t p = 0; p < count; ++p) {
    float* row = rows + p * width;
    for (int64_t x = 0; x < width; ++x) {
      row[x] = exp_negative(row[x] - peak[x]);
      sum[x] += row[x];
    }
  }
  for (int64_t p = 0; p < count; ++p) {
    float* row = rows + p * width;
    for (int64_t x = 0; x < width; ++x) row[x] /= sum[x];
  }
}

/// Weighted sum over one dilation's neighbours for K planes along a row:
/// out[k] (+)= sum of the 8. upper, middle, lower: the planes' three rows.
template <int K, bool kFirst>
void step_row(const float* __restrict weights,
              int64_t width,
              int64_t r,
              const float* const* upper,
              const float* const* middle,
              const float* const* lower,
              float* const* out) {
  const float* u[K];
  const float* m[K];
  const float* l[K];
  float* o[K];
  for (int k = 0; k < K; ++k) {
    u[k] = upper[k];
    m[k] = middle[k];
    l[k] = lower[k];
    o[k] = out[k];
  }
  // `in` and `out` are different buffers, which the compiler cannot see.
#pragma GCC ivdep
  for (int64_t x = 0; x < width; ++x) {
    const float w0 = weights[x], w1 = weights[width + x];
    const float w2 = weights[2 * width + x], w3 = weights[3 * width + x];
    const float w4 = weights[4 * width + x], w5 = weights[5 * width + x];
    const float w6 = weights[6 * width + x], w7 = weights[7 * width + x];
#pragma GCC unroll 4
    for (int k = 0; k < K; ++k) {
      float sum = kFirst ? 0.0f : o[k][x];
      sum += w0 * u[k][x - r] + w1 * u[k][x] + w2 * u[k][x + r];
      sum += w3 * m[k][x - r] + w4 * m[k][x + r];
      sum += w5 * l[k][x - r] + w6 * l[k][x] + w7 * l[k][x + r];
      o[k][x] = sum;
    }
  }
}

template <int K>
void step(const PamrShape& shape,
          const float* weights,
          const PaddedPlanes& in,
          const PaddedPlanes& out) {
  const int64_t width = shape.width;
  const int64_t neighbours = kPamrNeighbours * shape.dilation_count;
  at::parallel_for(0, shape.height, 8, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      float* target[K];
      for (int k = 0; k < K; ++k)
        target[k] = out.data + k * out.plane + y * out.row;
      for (int64_t d = 0; d < shape.dilation_count; ++d) {
        const int64_t r = shape.dilations[d];
        const float* upper[K];
        const float* middle[K];
        const float* lower[K];
        for (int k = 0; k < K; ++k) {
          upper[k] = row_of(in, k, y - r, shape.height);
          middle[k] = row_of(in, k, y, shape.height);
          lower[k] = row_of(in, k, y + r, shape.height);
        }
        const float* w =
            weights + (y * neighbours + d * kPamrNeighbours) * width;
        if (d == 0) {
          step_row<K, true>(w, width, r, upper, middle, lower, target);
        } else {
          step_row<K, false>(w, width, r, upper, middle, lower, target);
        }
      }
      for (int k = 0; k < K; ++k) {
        std::fill_n(target[k] - out.margin, out.margin, target[k][0]);
        std::fill_n(target[k] + width, out.margin, target[k][width - 1]);
      }
    }
  });
}

}  // namespace

void pamr_affinity(const PamrShape& shape,
                   const PaddedPlanes& image,
                   float* weights) {
  const int64_t width = shape.width;
  const int64_t neighbours = kPamrNeighbours * shape.dilation_count;
  at::parallel_for(0, shape.height, 4, [&](int64_t begin, int64_t end) {
    std::vector<float> buffer(2 * width);
    float* first = buffer.data();
    float* second = first + width;
    for (int64_t y = begin; y < end; ++y) {
      float* rows = weights + y * neighbours * width;
      std::fill_n(rows, neighbours * width, 0.0f);
      for (int64_t c = 0; c < kPamrChannels; ++c) {
        contrast_row(shape, image, c, y, first, second);
        const float* center = row_of(image, c, y, shape.height);
        for (int64_t p = 0; p < neighbours; ++p) {
          const int64_t r = shape.dilations[p / kPamrNeighbours];
          const PamrOffset offset = pamr_offset(p % kPamrNeighbours);
          const float* neighbour =
              row_of(image, c, y + offset.y * r, shape.height);
          subtract_distance(center,
                            neighbour + offset.x * r,
                            second,
                            width,
                            rows + p * width);
        }
      }
      softmax_rows(rows, neighbours, width, first, second);
    }
  });
}

void pamr_step(const PamrShape& shape,
               const float* weights,
               const PaddedPlanes& in,
               const PaddedPlanes& out,
               int64_t count) {
  switch (count) {
    case 1:
      return step<1>(shape, weights, in, out);
    case 2:
      return step<2>(shape, weights, in, out);
    case 3:
      return step<3>(shape, weights, in, out);
    default:
      return step<4>(shape, weights, in, out);
  }
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

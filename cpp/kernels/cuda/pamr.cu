// The formulas are in cpu/pamr.cpp. One thread per pixel, neighbours along a
// row side by side, so that every access to weights [H, P, W] is coalesced.
//
// affinity  a thread writes its P = 8 D values of kappa, then turns them into
//           weights: 9 D samples twice and 8 D once for each of 3 channels,
//           most from the first-level cache, 4 accesses of 4 bytes to each
//           weight
// step      a weight is read once for all planes of the call, a sample once per
//           plane: 2 P operations per pixel and plane
//
// Columns are clamped like rows, so margins are neither read nor written.

#include "kernels/cuda/cuda_common.cuh"
#include "kernels/exp_math.h"
#include "kernels/pamr_args.h"
#include "kernels/pamr_math.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

__device__ float sample(const PamrShape& shape,
                        const PaddedPlanes& planes,
                        int64_t plane,
                        int64_t y,
                        int64_t x) {
  return planes
      .data[plane * planes.plane + clamp_index(y, shape.height) * planes.row +
            clamp_index(x, shape.width)];
}

/// Factor on the differences of one channel at a pixel.
__device__ float contrast_at(const PamrShape& shape,
                             const PaddedPlanes& image,
                             int64_t channel,
                             int64_t y,
                             int64_t x) {
  const int64_t samples = 9 * shape.dilation_count;
  float mean = 0.0f, squares = 0.0f;
  for (int pass = 0; pass < 2; ++pass) {
    for (int64_t d = 0; d < shape.dilation_count; ++d) {
      const int64_t r = shape.dilations[d];
      for (int64_t dy = -r; dy <= r; dy += r) {
        for (int64_t dx = -r; dx <= r; dx += r) {
          const float v = sample(shape, image, channel, y + dy, x + dx);
          if (pass == 0) {
            mean += v;
          } else {
            squares += (v - mean) * (v - mean);
          }
        }
      }
    }
    if (pass == 0) mean /= static_cast<float>(samples);
  }
  return pamr_contrast(squares, samples);
}

__global__ void affinity(PamrShape shape, PaddedPlanes image, float* weights) {
  const int64_t item = item_index();
  if (item >= shape.height * shape.width) return;
  const int64_t y = item / shape.width;
  const int64_t x = item % shape.width;
  const int64_t neighbours = kPamrNeighbours * shape.dilation_count;
  float* weight = weights + y * neighbours * shape.width + x;

  float contrast[kPamrChannels], center[kPamrChannels];
  for (int c = 0; c < kPamrChannels; ++c) {
    contrast[c] = contrast_at(shape, image, c, y, x);
    center[c] = sample(shape, image, c, y, x);
  }
  float peak = 0.0f;
  for (int64_t p = 0; p < neighbours; ++p) {
    const int64_t r = shape.dilations[p / kPamrNeighbours];
    const PamrOffset offset = pamr_offset(p % kPamrNeighbours);
    float kappa = 0.0f;
    for (int c = 0; c < kPamrChannels; ++c) {
      kappa -= pamr_distance(
          center[c],
          sample(shape, image, c, y + offset.y * r, x + offset.x * r),
          contrast[c]);
    }
    peak = p == 0 || kappa > peak ? kappa : peak;
    weight[p * shape.width] = kappa;
  }
  float sum = 0.0f;
  for (int64_t p = 0; p < neighbours; ++p) {
    const float e = exp_negative(weight[p * shape.width] - peak);
    weight[p * shape.width] = e;
    sum += e;
  }
  for (int64_t p = 0; p < neighbours; ++p) weight[p * shape.width] /= sum;
}

template <int K>
__global__ void step(PamrShape shape,
                     const float* weights,
                     PaddedPlanes in,
                     PaddedPlanes out) {
  const int64_t item = item_index();
  if (item >= shape.height * shape.width) return;
  const int64_t y = item / shape.width;
  const int64_t x = item % shape.width;
  const int64_t neighbours = kPamrNeighbours * shape.dilation_count;
  const float* weight = weights + y * neighbours * shape.width + x;
  float sum[K] = {};
  for (int64_t p = 0; p < neighbours; ++p) {
    const int64_t r = shape.dilations[p / kPamrNeighbours];
    const PamrOffset offset = pamr_offset(p % kPamrNeighbours);
    const float w = weight[p * shape.width];
    for (int k = 0; k < K; ++k) {
      sum[k] += w * sample(shape, in, k, y + offset.y * r, x + offset.x * r);
    }
  }
  for (int k = 0; k < K; ++k)
    out.data[k * out.plane + y * out.row + x] = sum[k];
}

template <int K>
void run_step(const PamrShape& shape,
              const float* weights,
              const PaddedPlanes& in,
              const PaddedPlanes& out,
              Stream stream) {
  launch("pamr_step",
         step<K>,
         blocks_for(shape.height * shape.width),
         dim3(kItemBlock, 1, 1),
         stream,
         shape,
         weights,
         in,
         out);
}

}  // namespace

void pamr_affinity(const PamrShape& shape,
                   const PaddedPlanes& image,
                   float* weights,
                   Stream stream) {
  launch("pamr_affinity",
         affinity,
         blocks_for(shape.height * shape.width),
         dim3(kItemBlock, 1, 1),
         stream,
         shape,
         image,
         weights);
}

void pamr_step(const PamrShape& shape,
               const float* weights,
               const PaddedPlanes& in,
               const PaddedPlanes& out,
               int64_t count,
               Stream stream) {
  switch (count) {
    case 1:
      return run_step<1>(shape, weights, in, out, stream);
    case 2:
      return run_step<2>(shape, weights, in, out, stream);
    case 3:
      return run_step<3>(shape, weights, in, out, stream);
    default:
      return run_step<4>(shape, weights, in, out, stream);
  }
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

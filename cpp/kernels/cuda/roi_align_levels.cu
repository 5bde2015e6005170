// Forward: a block per bin and some channels, a thread per channel, which reads
// the patches under the bin once; their weights are made by the block's first
// threads, some patches at a time. Backward: a block per row of a map and some
// channels. It goes through the boxes in their order and adds what each gives
// to the row, every thread to a channel of its own: no atomics, and the same
// bits every time.

#include "kernels/cuda/cuda_common.cuh"
#include "kernels/roi_align_levels_args.h"
#include "kernels/roi_align_levels_math.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

constexpr int kRoiChannels = 128;  // of a block
constexpr int kRoiTile = 32;  // patches along an axis whose weights are held
constexpr int kRoiRows = 64;  // bins down a box whose weights are held

__device__ int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

template <typename T>
__global__ void pool_bins(RoiLevelsArgs args) {
  __shared__ float down[kRoiTile];
  __shared__ float across[kRoiTile];
  const int64_t bins = args.out_height * args.out_width;
  const int64_t n = blockIdx.x / bins;
  const int64_t bin = blockIdx.x % bins;
  const int64_t ph = bin / args.out_width, pw = bin % args.out_width;
  const int64_t c =
      static_cast<int64_t>(blockIdx.y) * kRoiChannels + threadIdx.x;
  const int t = threadIdx.x;
  const RoiMapArgs& map = args.maps[args.level[n]];
  const RoiAxes axes = roi_axes(args, map, n);
  const RoiRange rows = bin_range(axes.rows, ph, map.height);
  const RoiRange columns = bin_range(axes.columns, pw, map.width);
  const T* picture = static_cast<const T*>(map.features) +
                     args.pictures[n] * map.height * map.width * args.channels;
  float sum = 0.0f;
  for (int64_t y0 = rows.begin; y0 < rows.end; y0 += kRoiTile) {
    for (int64_t x0 = columns.begin; x0 < columns.end; x0 += kRoiTile) {
      __syncthreads();
      if (t < kRoiTile) {
        down[t] = bin_weight(axes.rows, ph, map.height, y0 + t);
      } else if (t < 2 * kRoiTile) {
        across[t - kRoiTile] =
            bin_weight(axes.columns, pw, map.width, x0 + t - kRoiTile);
      }
      __syncthreads();
      if (c >= args.channels) continue;
      const int64_t height = smaller(kRoiTile, rows.end - y0);
      const int64_t width = smaller(kRoiTile, columns.end - x0);
      for (int64_t y = 0; y < height; ++y) {
        if (down[y] == 0.0f) continue;
        const T* at = picture + ((y0 + y) * map.width + x0) * args.channels + c;
        for (int64_t x = 0; x < width; ++x, at += args.channels) {
          if (across[x] != 0.0f) sum += down[y] * across[x] * value(*at);
        }
      }
    }
  }
  if (c < args.channels) {
    put(sum, static_cast<T*>(args.pooled)[blockIdx.x * args.channels + c]);
  }
}

template <typename T>
void pool_levels(const RoiLevelsArgs& args, Stream stream) {
  launch(
      "roi_align_levels",
      pool_bins<T>,
      dim3(static_cast<unsigned>(args.count * args.out_height * args.out_width),
           static_cast<unsigned>((args.channels + kRoiChannels - 1) /
                                 kRoiChannels),
           1),
      dim3(kRoiChannels, 1, 1),
      stream,
      args);
}

/// Rows of all pictures of all maps number `blockIdx.x`.
__global__ void add_rows(RoiLevelsArgs args) {
  __shared__ float down[kRoiRows];
  int64_t item = blockIdx.x;
  int64_t level = 0;
  while (item >= args.pictures_count * args.maps[level].height) {
    item -= args.pictures_count * args.maps[level].height;
    ++level;
  }
  const RoiMapArgs& map = args.maps[level];
  const int64_t picture = item / map.height, y = item % map.height;
  const int64_t c =
      static_cast<int64_t>(blockIdx.y) * kRoiChannels + threadIdx.x;
  float* row =
      map.gradient + (picture * map.height + y) * map.width * args.channels + c;
  const int64_t bins = args.out_height * args.out_width;
  for (int64_t n = 0; n < args.count; ++n) {
    if (args.level[n] != level || args.pictures[n] != picture) continue;
    const RoiAxes axes = roi_axes(args, map, n);
    const RoiRange first = bin_range(axes.rows, 0, map.height);
    const RoiRange last = bin_range(axes.rows, args.out_height - 1, map.height);
    if (y < first.begin || y >= last.end) continue;
    for (int64_t p0 = 0; p0 < args.out_height; p0 += kRoiRows) {
      const int64_t some = smaller(kRoiRows, args.out_height - p0);
      __syncthreads();
      for (int64_t p = threadIdx.x; p < some; p += kRoiChannels) {
        down[p] = bin_weight(axes.rows, p0 + p, map.height, y);
      }
      __syncthreads();
      if (c >= args.channels) continue;
      const float* upstream =
          args.upstream + (n * bins + p0 * args.out_width) * args.channels + c;
      for (int64_t pw = 0; pw < args.out_width; ++pw) {
        float sum = 0.0f;
        for (int64_t p = 0; p < some; ++p) {
          if (down[p] == 0.0f) continue;
          sum += down[p] * upstream[(p * args.out_width + pw) * args.channels];
        }
        const RoiRange columns = bin_range(axes.columns, pw, map.width);
        for (int64_t x = columns.begin; x < columns.end; ++x) {
          const float across = bin_weight(axes.columns, pw, map.width, x);
          if (across != 0.0f) row[x * args.channels] += across * sum;
        }
      }
    }
  }
}

}  // namespace

void roi_align_levels(const RoiLevelsArgs& args, Stream stream) {
  switch (args.type) {
    case ElementType::kBFloat16:
      return pool_levels<BFloat16>(args, stream);
    case ElementType::kFloat16:
      return pool_levels<Float16>(args, stream);
    default:
      return pool_levels<float>(args, stream);
  }
}

void roi_align_levels_backward(const RoiLevelsArgs& args, Stream stream) {
  int64_t rows = 0;
  for (int64_t level = 0; level < args.map_count; ++level) {
    rows += args.pictures_count * args.maps[level].height;
  }
  launch("roi_align_levels_backward",
         add_rows,
         dim3(static_cast<unsigned>(rows),
              static_cast<unsigned>((args.channels + kRoiChannels - 1) /
                                    kRoiChannels),
              1),
         dim3(kRoiChannels, 1, 1),
         stream,
         args);
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

// Samples of a bin fold into one weight vector along each axis, as in
// roi_align.cpp, of which only the patches under the bin are kept: 3 to 5 for
// boxes that are pooled from the level of their size. A place of the map is
// read once per bin, its channels side by side, into sums that stay in
// registers; 2 operations each. Boxes in parallel forward. Backward the
// channels are: a thread adds to channels of its own, in the order of the
// boxes.

#include <ATen/Parallel.h>
#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>

#include <algorithm>
#include <vector>

#include "kernels/roi_align_levels_args.h"
#include "kernels/roi_align_levels_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

using RoiVec = at::vec::Vectorized<float>;

constexpr int64_t kRoiVecs = 8;       // sums at a time
constexpr int64_t kRoiChannels = 16;  // of a thread's share, at least

/// Weights of the bins of an axis, the patches under each.
struct RoiBins {
  struct Bin {
    int64_t first, offset, count;
  };
  std::vector<Bin> bins;
  std::vector<float> weights;

  void fill(const RoiAxis& axis, int64_t count, int64_t extent) {
    bins.clear();
    weights.clear();
    for (int64_t b = 0; b < count; ++b) {
      Bin bin{0, static_cast<int64_t>(weights.size()), 0};
      for (int64_t i = 0; i < axis.samples; ++i) {
        const RoiTap tap = roi_tap(axis, b, i, extent);
        if (tap.first < 0) continue;
        if (bin.count == 0) bin.first = tap.first;
        add(bin, tap.first, tap.first_share);
        if (tap.second >= 0) add(bin, tap.second, tap.second_share);
      }
      bins.push_back(bin);
    }
  }

 private:
  /// Patches come in their order.
  void add(Bin& bin, int64_t patch, float share) {
    while (bin.first + bin.count <= patch) {
      weights.push_back(0.0f);
      ++bin.count;
    }
    weights[static_cast<size_t>(bin.offset + patch - bin.first)] += share;
  }
};

RoiVec load(const float* x) { return RoiVec::loadu(x); }
RoiVec load(const BFloat16* x) {
  RoiVec out;
  at::vec::load_fp32_from_bf16(reinterpret_cast<const c10::BFloat16*>(x), out);
  return out;
}

void store(const RoiVec& x, float* out) { x.store(out); }
void store(const RoiVec& x, BFloat16* out) {
  float lanes[RoiVec::size()];
  x.store(lanes);
  for (int64_t i = 0; i < RoiVec::size(); ++i) put(lanes[i], out[i]);
}

/// What a bin covers.
template <typename T>
struct RoiPatch {
  const T* first;  // at the first row and column
  int64_t row;     // elements from row to row
  int64_t channels;
  const float* down;
  int64_t rows;
  const float* across;
  int64_t columns;
};

/// kVecs vectors of channels from `c` on.
template <int64_t kVecs, typename T>
void pool_vectors(const RoiPatch<T>& patch, int64_t c, T* out) {
  RoiVec sums[kVecs];
  for (auto& sum : sums) sum = RoiVec(0.0f);
  for (int64_t y = 0; y < patch.rows; ++y) {
    const T* at = patch.first + y * patch.row + c;
    for (int64_t x = 0; x < patch.columns; ++x, at += patch.channels) {
      const RoiVec weight(patch.down[y] * patch.across[x]);
      for (int64_t k = 0; k < kVecs; ++k) {
        sums[k] =
            at::vec::fmadd(load(at + k * RoiVec::size()), weight, sums[k]);
      }
    }
  }
  for (int64_t k = 0; k < kVecs; ++k)
    store(sums[k], out + c + k * RoiVec::size());
}

template <typename T>
void pool_bin(const RoiPatch<T>& patch, T* out) {
  constexpr int64_t kStep = RoiVec::size();
  int64_t c = 0;
  for (; c + kRoiVecs * kStep <= patch.channels; c += kRoiVecs * kStep) {
    pool_vectors<kRoiVecs>(patch, c, out);
  }
  for (; c + kStep <= patch.channels; c += kStep) {
    pool_vectors<1>(patch, c, out);
  }
  for (; c < patch.channels; ++c) {
    float sum = 0;
    for (int64_t y = 0; y < patch.rows; ++y) {
      for (int64_t x = 0; x < patch.columns; ++x) {
        sum += patch.down[y] * patch.across[x] *
               value(patch.first[y * patch.row + x * patch.channels + c]);
      }
    }
    put(sum, out[c]);
  }
}

template <typename T>
void pool_levels(const RoiLevelsArgs& args) {
  const int64_t bins = args.out_height * args.out_width;
  at::parallel_for(0, args.count, 1, [&](int64_t begin, int64_t end) {
    RoiBins rows, columns;
    for (int64_t n = begin; n < end; ++n) {
      const RoiMapArgs& map = args.maps[args.level[n]];
      const RoiAxes axes = roi_axes(args, map, n);
      rows.fill(axes.rows, args.out_height, map.height);
      columns.fill(axes.columns, args.out_width, map.width);
      const T* picture =
          static_cast<const T*>(map.features) +
          args.pictures[n] * map.height * map.width * args.channels;
      T* out = static_cast<T*>(args.pooled) + n * bins * args.channels;
      for (const auto& row : rows.bins) {
        for (const auto& column : columns.bins) {
          pool_bin<T>(
              {picture + (row.first * map.width + column.first) * args.channels,
               map.width * args.channels,
               args.channels,
               rows.weights.data() + row.offset,
               row.count,
               columns.weights.data() + column.offset,
               column.count},
              out);
          out += args.channels;
        }
      }
    }
  });
}

}  // namespace

void roi_align_levels(const RoiLevelsArgs& args) {
  if (args.type == ElementType::kBFloat16) {
    pool_levels<BFloat16>(args);
  } else {
    pool_levels<float>(args);
  }
}

void roi_align_levels_backward(const RoiLevelsArgs& args) {
  const int64_t channels = args.channels;
  const int64_t bins = args.out_height * args.out_width;
  const int64_t shares = (channels + kRoiChannels - 1) / kRoiChannels;
  at::parallel_for(0, shares, 1, [&](int64_t begin, int64_t end) {
    const int64_t from = begin * kRoiChannels;
    const int64_t some = std::min(end * kRoiChannels, channels) - from;
    RoiBins rows, columns;
    for (int64_t n = 0; n < args.count; ++n) {
      const RoiMapArgs& map = args.maps[args.level[n]];
      const RoiAxes axes = roi_axes(args, map, n);
      rows.fill(axes.rows, args.out_height, map.height);
      columns.fill(axes.columns, args.out_width, map.width);
      float* picture =
          map.gradient + args.pictures[n] * map.height * map.width * channels;
      const float* upstream = args.upstream + n * bins * channels + from;
      for (const auto& row : rows.bins) {
        for (const auto& column : columns.bins) {
          for (int64_t y = 0; y < row.count; ++y) {
            const float down = rows.weights[row.offset + y];
            float* to =
                picture +
                ((row.first + y) * map.width + column.first) * channels + from;
            for (int64_t x = 0; x < column.count; ++x, to += channels) {
              const float weight = down * columns.weights[column.offset + x];
              float* __restrict target = to;
              const float* __restrict source = upstream;
              for (int64_t c = 0; c < some; ++c) {
                target[c] += weight * source[c];
              }
            }
          }
          upstream += channels;
        }
      }
    }
  });
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

// Tiles of a block are transformed. For 32 output channels after the other they
// are multiplied by the weights of the 36 places, and the products are
// transformed back while the second-level cache has them. The products are the
// work: a group of rows keeps its sums in registers while it goes through the
// input channels once.

#include "kernels/winograd.h"

#include <ATen/Parallel.h>
#include <ATen/cpu/vec/vec.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/winograd_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

using Vec = at::vec::Vectorized<float>;
using winograd::kInputs;
using winograd::kOutputs;
using winograd::kProducts;

constexpr int64_t kTileLanes = Vec::size();
constexpr int64_t kOutPanel = 32;

/// Sums that registers hold: with 32 of them 14 rows of two vectors, with 16
/// six.
constexpr int64_t kTileRows = kTileLanes >= 16 ? 14 : 6;

/// Rows of tiles, and what belongs to a place, lie this many floats further
/// apart than they are long: powers of two fall into the same sets of a cache.
constexpr int64_t kGap = 16;

Vec load_vector(const float* x) { return Vec::loadu(x); }

Vec load_vector(const BFloat16* x) {
  float lanes[kTileLanes];
  for (int64_t i = 0; i < kTileLanes; ++i) lanes[i] = value(x[i]);
  return Vec::loadu(lanes);
}

/// `count` of them.
template <typename T>
void store_vector(Vec v, T* y, int64_t count) {
  float lanes[kTileLanes];
  v.store(lanes);
  if (count >= kTileLanes) {
    for (int64_t i = 0; i < kTileLanes; ++i) put(lanes[i], y[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) put(lanes[i], y[i]);
  }
}

struct TileLayout {
  int64_t across, down, tiles;  // of the whole batch
  int64_t in_row;               // floats from tile to tile
  int64_t in_place, out_place;  // floats from place to place

  explicit TileLayout(const WinogradArgs& args)
      : across((args.width + kOutputs - 1) / kOutputs),
        down((args.height + kOutputs - 1) / kOutputs),
        tiles(args.images * across * down),
        in_row(args.in + kGap),
        in_place(args.block * in_row + kGap),
        out_place(args.block * kOutPanel + kGap) {}

  int64_t scratch() const { return kProducts * (in_place + out_place); }
};

struct TilePlace {
  int64_t image, row, column;  // of the first output
};

TilePlace place_of(const TileLayout& layout, int64_t tile) {
  const int64_t image = tile / (layout.across * layout.down);
  const int64_t rest = tile % (layout.across * layout.down);
  return {
      image, rest / layout.across * kOutputs, rest % layout.across * kOutputs};
}

template <typename T>
void transform_tile(const WinogradArgs& args,
                    const TileLayout& layout,
                    const T* zeros,
                    int64_t tile,
                    float* __restrict out) {
  const auto [image, row, column] = place_of(layout, tile);
  const T* map = static_cast<const T*>(args.x) +
                 image * args.height * args.width * args.in;
  const T* pixels[kInputs][kInputs];
  for (int64_t i = 0; i < kInputs; ++i) {
    for (int64_t j = 0; j < kInputs; ++j) {
      const int64_t r = row + i - 1, c = column + j - 1;
      const bool inside = r >= 0 && r < args.height && c >= 0 && c < args.width;
      pixels[i][j] = inside ? map + (r * args.width + c) * args.in : zeros;
    }
  }
  for (int64_t channel = 0; channel < args.in; channel += kTileLanes) {
    Vec half[kInputs][kInputs];
    for (int64_t j = 0; j < kInputs; ++j) {
      winograd::transform_inputs<Vec>(
          [&](int64_t i) { return load_vector(pixels[i][j] + channel); },
          [&](int64_t i, Vec v) { half[i][j] = v; });
    }
    for (int64_t i = 0; i < kInputs; ++i) {
      winograd::transform_inputs<Vec>(
          [&](int64_t j) { return half[i][j]; },
          [&](int64_t j, Vec v) {
            v.store(out + (i * kInputs + j) * layout.in_place + channel);
          });
    }
  }
}

/// Of the 32 output channels from `first` on.
template <typename T>
void restore_tile(const WinogradArgs& args,
                  const TileLayout& layout,
                  const float* __restrict products,
                  int64_t first,
                  int64_t tile) {
  const auto [image, row, column] = place_of(layout, tile);
  T* map =
      static_cast<T*>(args.y) + image * args.height * args.width * args.out;
  const int64_t rows = std::min(kOutputs, args.height - row);
  const int64_t columns = std::min(kOutputs, args.width - column);
  const int64_t end = std::min(args.out, first + kOutPanel);
  for (int64_t channel = first; channel < end; channel += kTileLanes) {
    const int64_t count = std::min(kTileLanes, end - channel);
    Vec half[kOutputs][kInputs];
    for (int64_t j = 0; j < kInputs; ++j) {
      winograd::transform_outputs<Vec>(
          [&](int64_t i) {
            return Vec::loadu(products + (i * kInputs + j) * layout.out_place +
                              channel - first);
          },
          [&](int64_t i, Vec v) { half[i][j] = v; });
    }
    const Vec bias = Vec::loadu(args.bias + channel, count);
    for (int64_t i = 0; i < rows; ++i) {
      T* line = map + ((row + i) * args.width + column) * args.out + channel;
      winograd::transform_outputs<Vec>([&](int64_t j) { return half[i][j]; },
                                       [&](int64_t j, Vec v) {
                                         if (j >= columns) return;
                                         v = v + bias;
                                         if (args.relu)
                                           v = at::vec::clamp_min(v, Vec(0.0f));
                                         store_vector(
                                             v, line + j * args.out, count);
                                       });
    }
  }
}

/// The line that is wanted soon, into the second-level cache.
void fetch_line(const float* line) {
#if defined(__GNUC__)
  __builtin_prefetch(line, /*for writing=*/0, /*locality=*/2);
#else
  static_cast<void>(line);
#endif
}

/// kTileRows rows of x times a panel of 32 columns, whose rows lie one after
/// the other; the panel behind it is the next.
void multiply_rows(const float* __restrict x,
                   int64_t x_row,
                   const float* __restrict panel,
                   int64_t depth,
                   float* __restrict y) {
  for (int64_t first = 0; first < kOutPanel; first += 2 * kTileLanes) {
    Vec sums[kTileRows][2];
#pragma GCC unroll 16
    for (int64_t r = 0; r < kTileRows; ++r) sums[r][0] = sums[r][1] = Vec(0.0f);
    for (int64_t k = 0; k < depth; ++k) {
      const float* row = panel + k * kOutPanel + first;
      fetch_line(row + depth * kOutPanel);
      if constexpr (kTileLanes >= 16)
        fetch_line(row + depth * kOutPanel + kTileLanes);
      const Vec left = Vec::loadu(row);
      const Vec right = Vec::loadu(row + kTileLanes);
#pragma GCC unroll 16
      for (int64_t r = 0; r < kTileRows; ++r) {
        const Vec factor(x[r * x_row + k]);
        sums[r][0] = at::vec::fmadd(factor, left, sums[r][0]);
        sums[r][1] = at::vec::fmadd(factor, right, sums[r][1]);
      }
    }
#pragma GCC unroll 16
    for (int64_t r = 0; r < kTileRows; ++r) {
      sums[r][0].store(y + r * kOutPanel + first);
      sums[r][1].store(y + r * kOutPanel + first + kTileLanes);
    }
  }
}

template <typename T>
void run_winograd(const WinogradArgs& args) {
  const TileLayout layout(args);
  const int64_t blocks = (layout.tiles + args.block - 1) / args.block;
  const std::vector<T> zeros(args.in);
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    float* tiles = args.scratch + at::get_thread_num() * layout.scratch();
    float* products = tiles + kProducts * layout.in_place;
    // rows beyond the last tile are multiplied too
    std::memset(tiles, 0, kProducts * layout.in_place * sizeof(float));
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * args.block;
      const int64_t count = std::min(args.block, layout.tiles - first);
      for (int64_t t = 0; t < count; ++t) {
        transform_tile(
            args, layout, zeros.data(), first + t, tiles + t * layout.in_row);
      }
      for (int64_t panel = 0; panel < args.panels; ++panel) {
        const float* weight =
            args.weight + panel * kProducts * args.in * kOutPanel;
        for (int64_t place = 0; place < kProducts; ++place) {
          for (int64_t t = 0; t < count; t += kTileRows) {
            multiply_rows(tiles + place * layout.in_place + t * layout.in_row,
                          layout.in_row,
                          weight + place * args.in * kOutPanel,
                          args.in,
                          products + place * layout.out_place + t * kOutPanel);
          }
        }
        for (int64_t t = 0; t < count; ++t) {
          restore_tile<T>(args,
                          layout,
                          products + t * kOutPanel,
                          panel * kOutPanel,
                          first + t);
        }
      }
    }
  });
}

}  // namespace

int64_t winograd_rows() { return kTileRows; }

int64_t winograd_scratch(const WinogradArgs& args) {
  return TileLayout(args).scratch();
}

void winograd_conv(const WinogradArgs& args) {
  args.type == ElementType::kBFloat16 ? run_winograd<BFloat16>(args)
                                      : run_winograd<float>(args);
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

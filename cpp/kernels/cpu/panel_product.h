#pragma once

#include <ATen/cpu/vec/vec.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/element_math.h"
#include "kernels/word_maps_args.h"

// Products with a right side in panels of 32 columns, [depth / unit][32][unit]
// with a unit of one float32 or two bfloat16. A group of rows keeps its sums in
// registers while it goes through the depth once. Every instruction set has a
// copy of its own, and so have the files with instructions for bfloat16.

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {
namespace panels {

using Vec = at::vec::Vectorized<float>;

constexpr int64_t kLanes = Vec::size();
/// Sums of so many rows of two vectors, two of the panel and a factor fill 32
/// registers, or 16.
constexpr int64_t kRows = kLanes >= 16 ? 12 : 6;

template <typename T>
constexpr int64_t kUnit = 1;
template <>
constexpr int64_t kUnit<BFloat16> = 2;

inline int64_t round_up(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

/// One float per lane, or two bfloat16.
template <typename T>
Vec lanes_of(const T* x) {
  return Vec::loadu(reinterpret_cast<const float*>(x));
}

template <typename T>
Vec repeated(const T* x) {
  float bits;
  std::memcpy(&bits, x, sizeof(bits));
  return Vec(bits);
}

inline Vec multiply_add(float, Vec a, Vec b, Vec sum) {
  return at::vec::fmadd(a, b, sum);
}

#if defined(__AVX512BF16__) && defined(CPU_CAPABILITY_AVX512)
inline Vec multiply_add(BFloat16, Vec a, Vec b, Vec sum) {
  return _mm512_dpbf16_ps(static_cast<__m512>(sum),
                          std::bit_cast<__m512bh>(static_cast<__m512>(a)),
                          std::bit_cast<__m512bh>(static_cast<__m512>(b)));
}
#endif

/// kRows rows of a times two vectors of a panel.
template <typename T>
void tile(const T* a,
          int64_t a_row,
          const T* panel,
          int64_t depth,
          float* c,
          int64_t c_row) {
  constexpr int64_t kStep = kUnit<T>;
  Vec sums[kRows][2];
#pragma GCC unroll 12
  for (int64_t r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = Vec(0.0f);
  for (int64_t k = 0; k < depth; k += kStep) {
    const Vec left = lanes_of(panel + k * kWordPanel);
    const Vec right = lanes_of(panel + k * kWordPanel + kLanes * kStep);
#pragma GCC unroll 12
    for (int64_t r = 0; r < kRows; ++r) {
      const Vec factor = repeated(a + r * a_row + k);
      sums[r][0] = multiply_add(T(), factor, left, sums[r][0]);
      sums[r][1] = multiply_add(T(), factor, right, sums[r][1]);
    }
  }
#pragma GCC unroll 12
  for (int64_t r = 0; r < kRows; ++r) {
    sums[r][0].store(c + r * c_row);
    sums[r][1].store(c + r * c_row + kLanes);
  }
}

/// c[rows, columns] = a[rows, depth] panels; rows a multiple of kRows, depth of
/// the unit, columns of c rounded up to a panel. A panel is `panel_depth` deep,
/// of which `depth` are taken.
template <typename T>
void multiply_to(const T* a,
                 int64_t a_row,
                 const T* panel,
                 int64_t panel_depth,
                 int64_t depth,
                 int64_t rows,
                 int64_t columns,
                 float* c,
                 int64_t c_row) {
  for (int64_t j = 0; j < columns; j += kWordPanel) {
    for (int64_t half = 0; half < kWordPanel; half += 2 * kLanes) {
      for (int64_t i = 0; i < rows; i += kRows) {
        tile(a + i * a_row,
             a_row,
             panel + j * panel_depth + half * kUnit<T>,
             depth,
             c + i * c_row + j + half,
             c_row);
      }
    }
  }
}

/// The same of a layer; put(row, column, values, count) gets up to 32 columns
/// of a row at a time.
template <typename T, typename Put>
void multiply(const T* a,
              int64_t a_row,
              const PanelLayer& layer,
              int64_t rows,
              Put&& put) {
  const T* panel = static_cast<const T*>(layer.panels);
  alignas(64) float sums[kRows * kWordPanel];
  for (int64_t j = 0; j < layer.out; j += kWordPanel) {
    const int64_t count = std::min(kWordPanel, layer.out - j);
    for (int64_t i = 0; i < rows; i += kRows) {
      for (int64_t half = 0; half < kWordPanel; half += 2 * kLanes) {
        tile(a + i * a_row,
             a_row,
             panel + j * layer.in + half * kUnit<T>,
             layer.in,
             sums + half,
             kWordPanel);
      }
      const int64_t last = std::min(kRows, rows - i);
      for (int64_t r = 0; r < last; ++r) {
        put(i + r, j, sums + r * kWordPanel, count);
      }
    }
  }
}

}  // namespace panels
}  // namespace
}  // namespace declip::cpu::DECLIP_CPU_LEVEL

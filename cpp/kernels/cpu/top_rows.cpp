// A tile of keys is widened to float32 once and stays in the second-level
// cache; blocks of queries, which stay in the first, pass over it. With many
// queries the products are the work, 2 C operations per key and query; with few
// it is reading the keys, 2 C bytes each. A score enters a query's list only
// where a count over the tile says that one is good enough.

#include "kernels/top_rows.h"

#include <ATen/cpu/vec/vec.h>

#include <algorithm>
#include <cstring>
#include <limits>

#if defined(CPU_CAPABILITY_AVX2) || defined(CPU_CAPABILITY_AVX512)
#include <immintrin.h>
#endif

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

using RowVec = at::vec::Vectorized<float>;
constexpr int64_t kLanes = RowVec::size();
// Accumulators that fit the registers, with a row and the queries beside them.
constexpr int64_t kRowsAtOnce = kLanes == 16 ? 4 : 2;
constexpr int64_t kQueriesAtOnce = kLanes == 16 ? 6 : 4;
constexpr int64_t kTile = 32;  // keys
static_assert(kTile % kRowsAtOnce == 0 && kQueryStep % kQueriesAtOnce == 0 &&
              kRowStep % kLanes == 0);

/// Of float16 bits, by multiplications that every instruction set has.
float value_of(uint16_t bits) {
  constexpr uint32_t kExponent = 0x7c00;
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t rest = bits & 0x7fff;
  float magnitude;
  if (rest >= kExponent) {  // infinity or NaN
    const uint32_t wide = 0x7f800000 | ((rest & 0x3ff) << 13);
    std::memcpy(&magnitude, &wide, sizeof(wide));
  } else {
    const uint32_t wide = rest << 13;
    std::memcpy(&magnitude, &wide, sizeof(wide));
    magnitude *= 0x1p112f;  // the exponents' biases are 112 apart
  }
  uint32_t wide;
  std::memcpy(&wide, &magnitude, sizeof(wide));
  wide |= sign;
  std::memcpy(&magnitude, &wide, sizeof(wide));
  return magnitude;
}

#if defined(CPU_CAPABILITY_AVX512) && !defined(_MSC_VER)
void widen_row(const uint16_t* from, int64_t width, float* out) {
  int64_t i = 0;
  for (; i + 16 <= width; i += 16) {
    _mm512_storeu_ps(out + i,
                     _mm512_cvtph_ps(_mm256_loadu_si256(
                         reinterpret_cast<const __m256i*>(from + i))));
  }
  for (; i < width; ++i) out[i] = value_of(from[i]);
}
#elif defined(CPU_CAPABILITY_AVX2) && defined(__GNUC__)
// Every processor with AVX2 has this.
__attribute__((target("avx2,fma,f16c"))) void widen_row(const uint16_t* from,
                                                        int64_t width,
                                                        float* out) {
  int64_t i = 0;
  for (; i + 8 <= width; i += 8) {
    _mm256_storeu_ps(out + i,
                     _mm256_cvtph_ps(_mm_loadu_si128(
                         reinterpret_cast<const __m128i*>(from + i))));
  }
  for (; i < width; ++i) out[i] = value_of(from[i]);
}
#else
void widen_row(const uint16_t* from, int64_t width, float* out) {
  for (int64_t i = 0; i < width; ++i) {
    out[i] = value_of(from[i]);
  }
}
#endif

float sum_of(const RowVec& lanes) {
  float values[kLanes];
  lanes.store(values);
  for (int64_t step = kLanes / 2; step > 0; step /= 2) {
    for (int64_t i = 0; i < step; ++i) values[i] += values[i + step];
  }
  return values[0];
}

/// Products of kRowsAtOnce keys with kQueriesAtOnce queries, to
/// scores[query * kTile + row].
void products(const float* __restrict keys,
              const float* __restrict queries,
              int64_t width,
              float* __restrict scores) {
  RowVec sums[kRowsAtOnce][kQueriesAtOnce];
  for (auto& row : sums) {
    for (auto& sum : row) sum = RowVec(0.0f);
  }
  for (int64_t i = 0; i < width; i += kLanes) {
    RowVec own[kRowsAtOnce];
    for (int64_t r = 0; r < kRowsAtOnce; ++r)
      own[r] = RowVec::loadu(keys + r * width + i);
    for (int64_t q = 0; q < kQueriesAtOnce; ++q) {
      const auto query = RowVec::loadu(queries + q * width + i);
      for (int64_t r = 0; r < kRowsAtOnce; ++r)
        sums[r][q] = at::vec::fmadd(own[r], query, sums[r][q]);
    }
  }
  for (int64_t q = 0; q < kQueriesAtOnce; ++q) {
    for (int64_t r = 0; r < kRowsAtOnce; ++r)
      scores[q * kTile + r] = sum_of(sums[r][q]);
  }
}

/// Puts a row where it belongs; `id` is higher than any that is there.
void insert(TopRows& top, int64_t query, float score, int64_t id) {
  FoundRow* rows = top.found.data() + query * top.most;
  auto& count = top.counts[static_cast<size_t>(query)];
  int64_t place = count < top.most ? count++ : top.most - 1;
  for (; place > 0 && rows[place - 1].score < score; --place)
    rows[place] = rows[place - 1];
  rows[place] = {score, id};
}

/// What a score must exceed.
float least_of(const TopRows& top, int64_t query) {
  const auto count = top.counts[static_cast<size_t>(query)];
  return count < top.most
             ? -std::numeric_limits<float>::infinity()
             : top.found[static_cast<size_t>((query + 1) * top.most - 1)].score;
}

}  // namespace

void top_rows(const TopRowsArgs& args) {
  const PackedQueries& queries = *args.queries;
  const int64_t width = queries.padded_width;
  std::vector<float> tile(static_cast<size_t>(kTile * width));
  std::vector<float> scores(static_cast<size_t>(queries.padded_count * kTile));
  for (int64_t first = 0; first < args.rows; first += kTile) {
    const int64_t rows = std::min(kTile, args.rows - first);
    for (int64_t r = 0; r < rows; ++r) {
      widen_row(args.keys + (first + r) * queries.width,
                queries.width,
                tile.data() + r * width);
    }
    for (int64_t q = 0; q < queries.padded_count; q += kQueriesAtOnce) {
      for (int64_t r = 0; r < rows; r += kRowsAtOnce) {
        products(tile.data() + r * width,
                 queries.values.data() + q * width,
                 width,
                 scores.data() + q * kTile + r);
      }
    }
    const float* scales = args.scales + first;
    for (int64_t q = 0; q < queries.count; ++q) {
      float* own = scores.data() + q * kTile;
      float least = least_of(*args.top, q);
      int32_t good = 0;
      for (int64_t r = 0; r < rows; ++r) {
        own[r] *= scales[r];
        good += own[r] > least ? 1 : 0;
      }
      if (good == 0) continue;
      for (int64_t r = 0; r < rows; ++r) {
        if (!(own[r] > least)) continue;  // nor NaN
        insert(*args.top, q, own[r], args.first_id + first + r);
        least = least_of(*args.top, q);
      }
    }
  }
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cpu/level.h"

namespace declip {

/// A row that was found, and how good it is.
struct FoundRow {
  float score;
  int64_t id;
};

/// The best `most` rows of every query so far, best first; of equal scores the
/// lower id comes first.
struct TopRows {
  TopRows(int64_t queries, int64_t most)
      : most(most),
        counts(static_cast<size_t>(queries)),
        found(static_cast<size_t>(queries * most)) {}

  int64_t most;
  std::vector<int64_t> counts;  // found of each query
  std::vector<FoundRow> found;  // [queries, most]
};

/// Queries as the kernel reads them: rows of zeros and zeros at the ends of
/// rows make both sides whole.
struct PackedQueries {
  int64_t count = 0;
  int64_t width = 0;         // of a key
  int64_t padded_width = 0;  // of a row here, a multiple of kRowStep
  int64_t padded_count = 0;  // a multiple of kQueryStep
  std::vector<float> values;
};

/// Both are multiples of what any instruction set works on at a time.
inline constexpr int64_t kRowStep = 16;
inline constexpr int64_t kQueryStep = 12;

/// Queries [count, width], row after row.
PackedQueries pack_queries(const float* queries, int64_t count, int64_t width);

/// Some rows of keys, looked at one after another.
struct TopRowsArgs {
  const uint16_t* keys = nullptr;  // float16 [rows, width]
  const float* scales = nullptr;   // [rows], 1 / length of a key
  int64_t rows = 0;
  int64_t first_id = 0;  // of row 0
  const PackedQueries* queries = nullptr;
  TopRows* top = nullptr;
};

namespace cpu {
/// Puts those rows into `top` whose products with a query, times their scale,
/// are among its best. Ids must come in ascending order. One thread: what a
/// score is depends neither on the other rows nor on the other queries.
DECLIP_CPU_TWIN(void, top_rows, (const TopRowsArgs& args), (args))
}  // namespace cpu

}  // namespace declip

#include "kernels/top_rows.h"

#include <algorithm>

namespace declip {

PackedQueries pack_queries(const float* queries, int64_t count, int64_t width) {
  const auto whole = [](int64_t n, int64_t step) {
    return (n + step - 1) / step * step;
  };
  PackedQueries packed;
  packed.count = count;
  packed.width = width;
  packed.padded_width = whole(width, kRowStep);
  packed.padded_count = whole(count, kQueryStep);
  packed.values.resize(
      static_cast<size_t>(packed.padded_count * packed.padded_width));
  for (int64_t q = 0; q < count; ++q) {
    std::copy_n(queries + q * width,
                width,
                packed.values.data() + q * packed.padded_width);
  }
  return packed;
}

}  // namespace declip

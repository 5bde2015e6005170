#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "declip/call.h"

namespace declip {

/// Columns that are turned into rows at a time.
inline constexpr int64_t kColumns = 64;

/// Hands `take` the pixels of a row-major plane down the columns, one column
/// after the other.
template <class T, class Take>
void each_column(
    const T* data, int64_t height, int64_t width, const Call& call, Take take) {
  std::vector<T> columns(static_cast<size_t>(kColumns * height));
  for (int64_t first = 0; first < width; first += kColumns) {
    call.check();
    const int64_t count = std::min(kColumns, width - first);
    for (int64_t y = 0; y < height; ++y) {
      const T* row = data + y * width + first;
      for (int64_t x = 0; x < count; ++x) columns[x * height + y] = row[x];
    }
    take(columns.data(), count * height);
  }
}

}  // namespace declip

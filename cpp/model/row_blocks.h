#pragma once

#include <algorithm>
#include <cstdint>

namespace declip {

/// Calls f(first, last) for rows of a [count, count] matrix, so many at a time
/// that their values (2 MB of float32) stay in a cache. Blocks depend on
/// `count` alone.
template <typename F>
void for_row_blocks(int64_t count, const F& f) {
  constexpr int64_t kValues = 1 << 19;
  const int64_t rows = std::clamp<int64_t>(kValues / count, 32, count);
  for (int64_t first = 0; first < count; first += rows) {
    f(first, std::min(first + rows, count));
  }
}

}  // namespace declip

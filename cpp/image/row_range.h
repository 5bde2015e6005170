#pragma once

#include <cstdint>

namespace declip {

/// Rows begin..end of a picture, end excluded.
struct RowRange {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t size() const { return end - begin; }
  bool operator==(const RowRange&) const = default;
};

}  // namespace declip

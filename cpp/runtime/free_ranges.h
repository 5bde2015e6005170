#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace declip {

struct Range {
  uintptr_t start = 0;
  size_t size = 0;
};

/// Free memory by address and by size. Neighbours grow together, so that what
/// was given out in one set of sizes can be given out in another.
class FreeRanges {
 public:
  /// Cut off the smallest range that holds `size` bytes; 0 if none does.
  uintptr_t take(size_t size);

  void put(Range range);

  /// The whole units of the smallest range that has any, at most the units that
  /// `most` bytes begin; of size 0 if none has. No longer free then.
  Range cut(size_t most, size_t unit);

  size_t bytes() const { return bytes_; }

 private:
  using BySize = std::set<std::pair<size_t, uintptr_t>>;

  void add(Range range);
  Range remove(BySize::iterator at);

  std::map<uintptr_t, size_t> by_address_;
  BySize by_size_;
  size_t bytes_ = 0;
};

}  // namespace declip

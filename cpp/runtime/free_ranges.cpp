#include "runtime/free_ranges.h"

#include <algorithm>
#include <iterator>

#include "runtime/huge_pages.h"

namespace declip {

void FreeRanges::add(Range range) {
  if (range.size == 0) return;
  by_address_.emplace(range.start, range.size);
  by_size_.emplace(range.size, range.start);
  bytes_ += range.size;
}

Range FreeRanges::remove(BySize::iterator at) {
  const Range range{at->second, at->first};
  by_address_.erase(range.start);
  by_size_.erase(at);
  bytes_ -= range.size;
  return range;
}

uintptr_t FreeRanges::take(size_t size) {
  const auto found = by_size_.lower_bound({size, 0});
  if (found == by_size_.end()) return 0;
  const Range range = remove(found);
  add({range.start + size, range.size - size});
  return range.start;
}

void FreeRanges::put(Range range) {
  auto after = by_address_.lower_bound(range.start);
  if (after != by_address_.end() && range.start + range.size == after->first) {
    range.size += after->second;
    const auto next = std::next(after);
    remove(by_size_.find({after->second, after->first}));
    after = next;
  }
  if (after != by_address_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == range.start) {
      range = {before->first, before->second + range.size};
      remove(by_size_.find({before->second, before->first}));
    }
  }
  add(range);
}

Range FreeRanges::cut(size_t most, size_t unit) {
  for (auto at = by_size_.lower_bound({unit, 0}); at != by_size_.end(); ++at) {
    const uintptr_t first = round_up(at->second, unit);
    const uintptr_t last = (at->second + at->first) / unit * unit;
    if (first >= last) continue;
    const Range range = remove(at);
    // From the end: what begins the range stays in one piece.
    const uintptr_t start =
        last - std::min<size_t>(last - first, round_up(most, unit));
    add({range.start, start - range.start});
    add({last, range.start + range.size - last});
    return {start, last - start};
  }
  return {};
}

}  // namespace declip

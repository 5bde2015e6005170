#include "runtime/free_ranges.h"

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "tap.h"

using declip::FreeRanges;
using declip::Range;

namespace {

constexpr uintptr_t kBase = 1000;

/// Which of the bytes from kBase on are free, found by taking all there is,
/// one byte at a time.
std::vector<bool> free_bytes(FreeRanges ranges, size_t total) {
  std::vector<bool> bytes(total);
  while (const uintptr_t at = ranges.take(1)) bytes.at(at - kBase) = true;
  return bytes;
}

}  // namespace

TEST(free_ranges_take_the_best_fit_and_grow_together) {
  FreeRanges ranges;
  ranges.put({1000, 50});
  ranges.put({2000, 20});
  CHECK(ranges.take(20) == 2000);
  CHECK(ranges.take(20) == 1000);
  CHECK(ranges.take(40) == 0);
  ranges.put({2000, 10});
  ranges.put({2020, 10});
  CHECK(ranges.take(31) == 0);
  ranges.put({2010, 10});  // joins both
  CHECK(ranges.bytes() == 60);
  ranges.put({1000, 20});
  CHECK(ranges.take(50) == 1000);
  CHECK(ranges.take(30) == 2000);
  CHECK(ranges.bytes() == 0 && ranges.take(1) == 0);
}

TEST(free_ranges_are_cut_by_whole_units_the_smallest_first) {
  FreeRanges ranges;
  ranges.put({101, 300});
  ranges.put({1000, 500});
  ranges.put({2050, 100});  // has no unit from 100 to 100
  const auto cut = [&](size_t most, uintptr_t start, size_t size) {
    const Range range = ranges.cut(most, 100);
    CHECK(range.start == start && range.size == size);
  };
  cut(1, 300, 100);
  cut(1000, 200, 100);
  cut(1000, 1000, 500);
  cut(1000, 0, 0);
  CHECK(ranges.bytes() == 99 + 1 + 100);
}

TEST(free_ranges_agree_with_a_map_of_bytes) {
  constexpr size_t kTotal = 600, kUnit = 16;
  std::mt19937 random(1);
  std::vector<bool> expected(kTotal, false);
  std::vector<Range> held{{kBase, kTotal}};
  FreeRanges ranges;
  size_t cuts = 0;
  for (int step = 0; step < 3000; ++step) {
    const auto mark = [&](const Range& range, bool value) {
      for (size_t i = 0; i < range.size; ++i) {
        CHECK(expected[range.start - kBase + i] != value);
        expected[range.start - kBase + i] = value;
      }
    };
    const size_t size = 1 + random() % 60;
    switch (random() % 3) {
      case 0:
        if (const uintptr_t at = ranges.take(size)) {
          held.push_back({at, size});
          mark(held.back(), false);
        }
        break;
      case 1:
        if (held.empty()) break;
        std::swap(held[random() % held.size()], held.back());
        mark(held.back(), true);
        ranges.put(held.back());
        held.pop_back();
        break;
      default:
        if (random() % 8 > 0) break;
        const Range cut = ranges.cut(size, kUnit);
        if (cut.size == 0) break;
        CHECK(cut.start % kUnit == 0 && cut.size % kUnit == 0);
        CHECK(cut.size < size + kUnit);
        mark(cut, false);
        held.push_back(cut);
        ++cuts;
    }
    size_t sum = 0;
    for (const bool byte : expected) sum += byte;
    CHECK(ranges.bytes() == sum);
  }
  CHECK(cuts > 50);
  CHECK(free_bytes(ranges, kTotal) == expected);
}

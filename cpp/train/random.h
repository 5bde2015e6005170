#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace declip {

/// A small generator whose whole state is one number, so that a checkpoint can
/// hold it and every platform draws alike. SplitMix64: Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", 2014.
class SplitMix {
 public:
  explicit SplitMix(uint64_t state) : state_(state) {}

  uint64_t state() const { return state_; }

  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  /// A generator for one of many things that draw at the same time, whatever
  /// their order.
  SplitMix fork(uint64_t index) const {
    return SplitMix(SplitMix(state_ ^ (index * 0xd1342543de82ef95)).next());
  }

  /// Uniform in 0..bound-1. Draws that would favour small numbers are
  /// repeated.
  int64_t below(int64_t bound) {
    const auto n = static_cast<uint64_t>(bound);
    const uint64_t unfair = (0 - n) % n;
    uint64_t draw = next();
    while (draw < unfair) draw = next();
    return static_cast<int64_t>(draw % n);
  }

  /// The first `count` of `items` in random order, all if there are fewer.
  template <typename T>
  std::vector<T> sample(std::vector<T> items, int64_t count) {
    const auto size = static_cast<int64_t>(items.size());
    if (count > size) count = size;
    for (int64_t i = 0; i < count; ++i) {
      std::swap(items[static_cast<size_t>(i)],
                items[static_cast<size_t>(i + below(size - i))]);
    }
    items.resize(static_cast<size_t>(count));
    return items;
  }

 private:
  uint64_t state_;
};

}  // namespace declip

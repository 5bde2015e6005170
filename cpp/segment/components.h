#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "declip/call.h"
#include "declip/size.h"

namespace declip {

/// Sets of numbers 0..n-1 by union-find. The smallest number of a set is its
/// root, so that one pass over the numbers gives every set its own.
class DisjointSets {
 public:
  explicit DisjointSets(int64_t size = 0) : parent_(size) {
    for (int64_t i = 0; i < size; ++i) parent_[i] = static_cast<int32_t>(i);
  }

  int32_t add() {
    parent_.push_back(static_cast<int32_t>(parent_.size()));
    return parent_.back();
  }

  void join(int32_t a, int32_t b) {
    a = root(a);
    b = root(b);
    if (a < b) std::swap(a, b);
    parent_[a] = b;
  }

  /// For every number that of its set: 0.. in the order of smallest members.
  std::pair<std::vector<int32_t>, int64_t> number() && {
    int32_t count = 0;
    for (size_t i = 0; i < parent_.size(); ++i) {
      const auto own = static_cast<size_t>(parent_[i]);
      parent_[i] = own == i ? count++ : parent_[own];
    }
    return {std::move(parent_), count};
  }

 private:
  int32_t root(int32_t i) {
    while (parent_[i] != i) {
      parent_[i] = parent_[parent_[i]];
      i = parent_[i];
    }
    return i;
  }

  std::vector<int32_t> parent_;
};

/// Connected regions of a picture.
struct Components {
  /// Of every pixel, numbered in the order of first pixels; -1: none.
  std::vector<int32_t> id;
  int64_t count = 0;
};

/// Regions of pixels with one label that are joined at their sides. Pixels
/// whose label `takes` refuses are in none.
template <class T, class Takes>
Components number_components(const T* data,
                             Size size,
                             Takes takes,
                             const Call& call) {
  const auto [height, width] = size;
  Components out{std::vector<int32_t>(static_cast<size_t>(height * width)), 0};
  DisjointSets sets;
  for (int64_t y = 0, i = 0; y < height; ++y) {
    call.check();
    for (int64_t x = 0; x < width; ++x, ++i) {
      if (!takes(data[i])) {
        out.id[i] = -1;
        continue;
      }
      const bool left = x > 0 && data[i - 1] == data[i];
      const bool up = y > 0 && data[i - width] == data[i];
      if (!left && !up) {
        out.id[i] = sets.add();
        continue;
      }
      out.id[i] = out.id[left ? i - 1 : i - width];
      if (left && up && out.id[i - 1] != out.id[i - width]) {
        sets.join(out.id[i - 1], out.id[i - width]);
      }
    }
  }
  const auto [number, count] = std::move(sets).number();
  out.count = count;
  for (auto& id : out.id) {
    if (id >= 0) id = number[id];
  }
  return out;
}

}  // namespace declip

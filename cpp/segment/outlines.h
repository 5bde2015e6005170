#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "declip/polygons.h"
#include "declip/size.h"

namespace declip {

/// Whether pixels that touch at a corner alone belong together.
enum class Diagonals { kApart, kJoined };

/// Follows the sides of pixels.
template <class T>
class Tracer {
 public:
  Tracer(const T* data, Size size, Diagonals diagonals)
      : data_(data),
        height_(size.height),
        width_(size.width),
        joined_(diagonals == Diagonals::kJoined),
        traced_(static_cast<size_t>(size.height * size.width)) {}

  /// Whether the upper side of pixel `i` is part of a ring already.
  bool traced(int64_t i) const { return traced_[i] != 0; }

  /// The way along the upper side of pixel `start`, with the region on the
  /// right hand. At a corner where two of its pixels touch diagonally it turns
  /// right, which keeps them apart; a loop between two visits of such a corner
  /// is a ring of its own, so that no ring touches itself. Where diagonals are
  /// joined it turns left there, and the one ring may meet a corner twice.
  std::vector<Ring> rings(int64_t start) {
    const T label = data_[start];
    const auto inside = [&](int64_t x, int64_t y) {
      return x >= 0 && y >= 0 && x < width_ && y < height_ &&
             data_[y * width_ + x] == label;
    };
    std::vector<Ring> rings;
    Ring way;
    // Clearing a map takes as long as it ever was large.
    std::unordered_map<int64_t, size_t>().swap(touched_);
    int64_t x = start % width_, y = start / width_, dx = 1, dy = 0;
    for (;;) {
      if (dx == 1) {
        if (traced(y * width_ + x)) break;
        traced_[y * width_ + x] = 1;
      }
      x += dx;
      y += dy;
      // The pixels ahead, to the left and to the right of the way.
      const bool left = inside(x + (dx + dy - 1) / 2, y + (dy - dx - 1) / 2);
      const bool right = inside(x + (dx - dy - 1) / 2, y + (dx + dy - 1) / 2);
      if (right && !left) continue;
      if (left && !right && !joined_) {
        const auto [place, fresh] =
            touched_.try_emplace(y * (width_ + 1) + x, way.size());
        if (!fresh) {
          const auto from = way.begin() + static_cast<ptrdiff_t>(place->second);
          rings.emplace_back(from, way.end());
          way.erase(from, way.end());
        }
      }
      way.push_back({static_cast<int32_t>(x), static_cast<int32_t>(y)});
      if (left && (right || joined_)) {
        std::swap(dx, dy);
        dy = -dy;
      } else {
        std::swap(dx, dy);
        dx = -dx;
      }
    }
    rings.push_back(std::move(way));
    return rings;
  }

 private:
  const T* data_;
  int64_t height_, width_;
  bool joined_;
  std::vector<uint8_t> traced_;
  std::unordered_map<int64_t, size_t> touched_;  // corner -> place in the way
};

/// Twice the area in pixels, positive for clockwise on the screen.
inline int64_t twice_area(const Ring& ring) {
  int64_t twice = 0;
  auto from = ring.empty() ? Corner{} : ring.back();
  for (const auto to : ring) {
    twice += int64_t{from.x} * to.y - int64_t{to.x} * from.y;
    from = to;
  }
  return twice;
}

}  // namespace declip

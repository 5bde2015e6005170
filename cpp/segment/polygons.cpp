#include "declip/polygons.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "segment/label_map.h"

namespace declip {
namespace {

/// For every pixel the number of its connected region (sides, not corners), by
/// union-find. Numbers are below H * W, not consecutive.
template <class T>
std::vector<int32_t> number_regions(const T* data,
                                    Size size,
                                    const Call& call) {
  const auto [height, width] = size;
  std::vector<int32_t> region(static_cast<size_t>(height * width));
  std::vector<int32_t> parent;
  const auto root = [&](int32_t id) {
    while (parent[id] != id) {
      parent[id] = parent[parent[id]];
      id = parent[id];
    }
    return id;
  };
  for (int64_t y = 0, i = 0; y < height; ++y) {
    call.check();
    for (int64_t x = 0; x < width; ++x, ++i) {
      const bool left = x > 0 && data[i - 1] == data[i];
      const bool up = y > 0 && data[i - width] == data[i];
      if (!left && !up) {
        region[i] = static_cast<int32_t>(parent.size());
        parent.push_back(region[i]);
        continue;
      }
      region[i] = region[left ? i - 1 : i - width];
      if (left && up && region[i - 1] != region[i - width]) {
        parent[root(region[i - 1])] = root(region[i - width]);
      }
    }
  }
  for (auto& id : region) id = root(id);
  return region;
}

/// Follows the sides of pixels.
template <class T>
class Tracer {
 public:
  Tracer(const T* data, Size size)
      : data_(data),
        height_(size.height),
        width_(size.width),
        traced_(static_cast<size_t>(size.height * size.width)) {}

  /// Whether the upper side of pixel `i` is part of a ring already.
  bool traced(int64_t i) const { return traced_[i] != 0; }

  /// The way along the upper side of pixel `start`, with the region on the
  /// right hand. At a corner where two of its pixels touch diagonally it turns
  /// right, which keeps them apart; a loop between two visits of such a corner
  /// is a ring of its own, so that no ring touches itself.
  std::vector<Ring> rings(int64_t start) {
    const T label = data_[start];
    const auto inside = [&](int64_t x, int64_t y) {
      return x >= 0 && y >= 0 && x < width_ && y < height_ &&
             data_[y * width_ + x] == label;
    };
    std::vector<Ring> rings;
    Ring way;
    touched_.clear();
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
      if (left && !right) {
        const auto [place, fresh] =
            touched_.try_emplace(y * (width_ + 1) + x, way.size());
        if (!fresh) {
          const auto from = way.begin() + static_cast<ptrdiff_t>(place->second);
          rings.emplace_back(from, way.end());
          way.erase(from, way.end());
        }
      }
      way.push_back({static_cast<int32_t>(x), static_cast<int32_t>(y)});
      if (right) {
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
  std::vector<uint8_t> traced_;
  std::unordered_map<int64_t, size_t> touched_;  // corner -> place in the way
};

/// Twice the area in pixels, positive for clockwise on the screen.
int64_t twice_area(const Ring& ring) {
  int64_t twice = 0;
  auto from = ring.empty() ? Corner{} : ring.back();
  for (const auto to : ring) {
    twice += int64_t{from.x} * to.y - int64_t{to.x} * from.y;
    from = to;
  }
  return twice;
}

/// Length of a vector: scaled by its larger side and summed after Kahan, as
/// ECMAScript engines do, so that ties with the tolerance fall as they did
/// there.
double vector_length(double x, double y) {
  const double largest = std::max(std::abs(x), std::abs(y));
  if (largest == 0) return 0;
  double sum = 0, compensation = 0;
  for (const double side : {std::abs(x), std::abs(y)}) {
    const double scaled = side / largest;
    const double summand = scaled * scaled - compensation;
    const double next = sum + summand;
    compensation = next - sum - summand;
    sum = next;
  }
  return std::sqrt(sum) * largest;
}

double distance_to_segment(Corner at, Corner from, Corner to) {
  const double dx = to.x - from.x, dy = to.y - from.y;
  const double x = at.x - from.x, y = at.y - from.y;
  const double square = dx * dx + dy * dy;
  const double along =
      square == 0 ? 0 : std::clamp((x * dx + y * dy) / square, 0.0, 1.0);
  return vector_length(x - along * dx, y - along * dy);
}

/// Douglas-Peucker: drops the corners that lie within `tolerance` of the line
/// between those kept. A ring is cut at its first corner and at the one
/// farthest from it.
Ring simplify(Ring ring, double tolerance, const Call& call) {
  if (tolerance == 0 || ring.empty()) return ring;
  const size_t end = ring.size();
  ring.push_back(ring.front());
  std::vector<uint8_t> kept(ring.size(), 0);
  kept[0] = 1;
  std::vector<std::pair<size_t, size_t>> spans{{0, end}};
  while (!spans.empty()) {
    const auto [first, last] = spans.back();
    spans.pop_back();
    call.check();
    size_t farthest = 0;
    double best = tolerance;
    for (size_t i = first + 1; i < last; ++i) {
      const double distance =
          distance_to_segment(ring[i], ring[first], ring[last]);
      if (distance > best) {
        farthest = i;
        best = distance;
      }
    }
    if (farthest == 0) continue;
    kept[farthest] = 1;
    spans.emplace_back(first, farthest);
    spans.emplace_back(farthest, last);
  }
  Ring out;
  for (size_t i = 0; i < end; ++i) {
    if (kept[i] != 0) out.push_back(ring[i]);
  }
  return out;
}

template <class T>
std::vector<std::vector<Polygon>> trace_map(const T* data,
                                            Size size,
                                            int64_t classes,
                                            double tolerance,
                                            const Call& call) {
  const auto region = number_regions(data, size, call);
  Tracer<T> tracer(data, size);
  std::vector<std::vector<Polygon>> polygons(static_cast<size_t>(classes));
  struct Owner {
    int32_t place = -1;  // of the region's polygon in its class
    bool met = false;
  };
  std::unordered_map<int32_t, Owner> owners;
  for (int64_t y = 0, i = 0; y < size.height; ++y) {
    call.check();
    for (int64_t x = 0; x < size.width; ++x, ++i) {
      if (tracer.traced(i) || (y > 0 && data[i - size.width] == data[i])) {
        continue;
      }
      auto rings = tracer.rings(i);
      if (data[i] >= classes) continue;
      auto& list = polygons[data[i]];
      auto& owner = owners[region[i]];
      if (!owner.met) {
        owner.met = true;
        // Of a region's rings, scanning down meets the outer one first.
        const auto outer =
            std::find_if(rings.begin(), rings.end(), [](const Ring& ring) {
              return twice_area(ring) > 0;
            });
        if (outer != rings.end()) {
          auto line = simplify(*outer, tolerance, call);
          if (line.size() >= 3) {
            owner.place = static_cast<int32_t>(list.size());
            list.push_back({std::move(line), {}});
          }
        }
      }
      if (owner.place < 0) continue;
      for (auto& ring : rings) {
        if (twice_area(ring) >= 0) continue;
        auto hole = simplify(std::move(ring), tolerance, call);
        if (hole.size() >= 3) {
          list[owner.place].holes.push_back(std::move(hole));
        }
      }
    }
  }
  return polygons;
}

}  // namespace

std::vector<std::vector<Polygon>> trace_polygons(const at::Tensor& labels,
                                                 int64_t classes,
                                                 double tolerance,
                                                 const Call& call) {
  if (!(tolerance >= 0) || std::isinf(tolerance)) {
    throw Error(ErrorCode::kInvalidArg,
                "The tolerance must be a number of pixels, 0 or more.");
  }
  const LabelMap map(labels, classes);
  return map.visit([&](const auto* data) {
    return trace_map(data, map.size(), classes, tolerance, call);
  });
}

}  // namespace declip

#include "declip/polygons.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "segment/components.h"
#include "segment/label_map.h"
#include "segment/outlines.h"

namespace declip {
namespace {

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
  const auto regions = number_components(
      data, size, [&](T label) { return label < classes; }, call);
  Tracer<T> tracer(data, size, Diagonals::kApart);
  std::vector<std::vector<Polygon>> polygons(static_cast<size_t>(classes));
  struct Owner {
    int32_t place = -1;  // of the region's polygon in its class
    bool met = false;
  };
  std::vector<Owner> owners(static_cast<size_t>(regions.count));
  for (int64_t y = 0, i = 0; y < size.height; ++y) {
    call.check();
    for (int64_t x = 0; x < size.width; ++x, ++i) {
      if (tracer.traced(i) || (y > 0 && data[i - size.width] == data[i])) {
        continue;
      }
      if (regions.id[i] < 0) continue;
      auto rings = tracer.rings(i);
      auto& list = polygons[data[i]];
      auto& owner = owners[regions.id[i]];
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

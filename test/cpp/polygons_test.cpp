#include "declip/polygons.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "declip/error.h"
#include "tap.h"

using declip::Corner;
using declip::ErrorCode;
using declip::Polygon;
using declip::Ring;
using declip::trace_polygons;

namespace {

at::Tensor label_rows(const std::vector<std::string>& rows) {
  auto labels = at::empty({static_cast<int64_t>(rows.size()),
                           static_cast<int64_t>(rows.front().size())},
                          at::kByte);
  auto at = labels.accessor<uint8_t, 2>();
  for (size_t y = 0; y < rows.size(); ++y) {
    for (size_t x = 0; x < rows[y].size(); ++x) at[y][x] = rows[y][x] - '0';
  }
  return labels;
}

/// Even-odd rule at the pixel's centre.
bool covers(const Polygon& polygon, double px, double py) {
  int crossings = 0;
  const auto add = [&](const Ring& ring) {
    for (size_t i = 0; i < ring.size(); ++i) {
      const auto a = ring[i], b = ring[(i + 1) % ring.size()];
      if ((a.y > py) != (b.y > py) &&
          px < a.x + (py - a.y) / (b.y - a.y) * (b.x - a.x)) {
        ++crossings;
      }
    }
  };
  add(polygon.outer);
  for (const auto& hole : polygon.holes) add(hole);
  return crossings % 2 == 1;
}

/// In pixels, positive for clockwise on the screen.
double ring_area(const Ring& ring) {
  double twice = 0;
  for (size_t i = 0; i < ring.size(); ++i) {
    const auto a = ring[i], b = ring[(i + 1) % ring.size()];
    twice += a.x * b.y - b.x * a.y;
  }
  return twice / 2;
}

}  // namespace

TEST(a_rectangle_has_four_corners_clockwise) {
  const auto found =
      trace_polygons(label_rows({"0000", "0110", "0110"}), 2, 0, {});
  CHECK(found[1].size() == 1);
  CHECK((found[1][0].outer == Ring{{3, 1}, {3, 3}, {1, 3}, {1, 1}}));
  CHECK(found[1][0].holes.empty());
}

TEST(regions_that_touch_at_a_corner_stay_apart) {
  const auto two = trace_polygons(label_rows({"10", "01"}), 2, 0, {});
  CHECK(two[0].size() == 2 && two[1].size() == 2);
  const auto holes =
      trace_polygons(label_rows({"0000", "0100", "0010", "0000"}), 2, 0, {});
  CHECK(holes[0].size() == 1 && holes[0][0].holes.size() == 2);
}

TEST(filled_polygons_are_the_labels_and_no_ring_touches_itself) {
  at::manual_seed(1);
  for (int round = 0; round < 200; ++round) {
    const int64_t height = 1 + round % 11, width = 1 + round % 13;
    const auto labels = at::randint(3, {height, width}, at::kByte);
    const auto found = trace_polygons(
        round % 2 == 0 ? labels : labels.to(at::kUInt16), 3, 0, {});
    double total = 0;
    for (const auto& list : found) {
      for (const auto& [outer, holes] : list) {
        CHECK(ring_area(outer) > 0);
        total += ring_area(outer);
        auto rings = holes;
        rings.push_back(outer);
        for (const auto& hole : holes) {
          CHECK(ring_area(hole) < 0);
          total += ring_area(hole);
        }
        for (const auto& ring : rings) {
          std::set<std::pair<int, int>> corners;
          for (const auto corner : ring) corners.emplace(corner.x, corner.y);
          CHECK(corners.size() == ring.size());
        }
      }
    }
    CHECK(total == static_cast<double>(height * width));
    const auto at = labels.accessor<uint8_t, 2>();
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        for (int64_t c = 0; c < 3; ++c) {
          int hits = 0;
          for (const auto& polygon : found[c]) {
            hits += covers(polygon, x + 0.5, y + 0.5);
          }
          CHECK(hits == (at[y][x] == c));
        }
      }
    }
  }
}

TEST(a_tolerance_drops_corners_and_stays_near_the_outline) {
  auto labels = at::zeros({60, 60}, at::kByte);
  auto at = labels.accessor<uint8_t, 2>();
  for (int64_t y = 0; y < 60; ++y) {
    for (int64_t x = 0; x < 60; ++x) {
      at[y][x] = std::hypot(x - 29.5, y - 29.5) < 25;
    }
  }
  const auto exact = trace_polygons(labels, 2, 0, {})[1][0].outer;
  const auto loose = trace_polygons(labels, 2, 1, {})[1][0].outer;
  CHECK(loose.size() < exact.size() / 2);
  for (const auto& [x, y] : loose) {
    CHECK(std::abs(std::hypot(x - 30, y - 30) - 25) < 1);
  }
  CHECK_CLOSE(ring_area(loose), ring_area(exact), 0.05 * ring_area(exact));
  const auto gone = trace_polygons(label_rows({"010"}), 2, 9, {});
  CHECK(gone[0].empty() && gone[1].empty());
}

TEST(polygons_refuse_what_they_cannot_trace) {
  const auto labels = label_rows({"01", "10"});
  const auto code = ErrorCode::kInvalidArg;
  for (const double tolerance : {-1.0,
                                 std::numeric_limits<double>::infinity(),
                                 std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_THROWS_CODE(trace_polygons(labels, 2, tolerance, {}), code);
  }
  CHECK_THROWS_CODE(trace_polygons(labels.to(at::kFloat), 2, 0, {}), code);
  CHECK_THROWS_CODE(trace_polygons(labels[0], 2, 0, {}), code);
  declip::Call call;
  call.cancelled = std::make_shared<std::atomic<bool>>(true);
  CHECK_THROWS_CODE(trace_polygons(labels, 2, 0, call), ErrorCode::kAborted);
  CHECK(trace_polygons(labels, 1, 0, {}).size() == 1);
}

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "declip/error.h"
#include "declip/mask_shapes.h"

namespace declip {
namespace {

/// Steps per pixel of the grid on which lines are drawn.
constexpr int64_t kFine = 5;
/// The step between whose sides a line passes from one column's pixels to the
/// next one's: the middle of the pixel.
constexpr int64_t kMiddle = 2;
/// Corners beyond would not fit 32 bits on the fine grid.
constexpr double kFarthest = 268435456;

struct FinePoint {
  int64_t x = 0, y = 0;
};

/// Towards zero, as a cast does in C, also for what is negative.
int64_t rounded(double value) { return static_cast<int64_t>(value + 0.5); }

/// First row whose middle is not above a point of the fine grid.
int64_t row_below(int64_t y, int64_t height) {
  const int64_t past = y - kMiddle;
  return past <= 0 ? 0 : std::min((past + kFine - 1) / kFine, height);
}

/// Where a polygon's lines pass the middles of columns: places in the order of
/// run lengths, at which inside and outside change.
class Crossings {
 public:
  explicit Crossings(Size size) : size_(size) {}

  void add_line(FinePoint from, FinePoint to) {
    const bool steep = std::abs(to.y - from.y) > std::abs(to.x - from.x);
    if (steep ? from.y > to.y : from.x > to.x) std::swap(from, to);
    const int64_t left = std::min(from.x, to.x);
    const int64_t right = std::max(from.x, to.x);
    // Columns x with left <= 5 x + 2 and 5 x + 3 <= right.
    const int64_t first =
        left <= kMiddle ? 0 : (left - kMiddle + kFine - 1) / kFine;
    if (right < kMiddle + 1) return;
    const int64_t last =
        std::min((right - kMiddle - 1) / kFine, size_.width - 1);
    if (steep) {
      add_steep(from, to, first, last);
    } else {
      add_flat(from, to, first, last);
    }
  }

  std::vector<uint32_t> counts() {
    std::sort(places_.begin(), places_.end());
    std::vector<uint32_t> counts;
    int64_t begin = 0;
    for (size_t i = 0; i < places_.size(); ++i) {
      // Two lines at one place change nothing.
      if (i + 1 < places_.size() && places_[i] == places_[i + 1]) {
        ++i;
        continue;
      }
      counts.push_back(static_cast<uint32_t>(places_[i] - begin));
      begin = places_[i];
    }
    const int64_t end = size_.height * size_.width;
    if (begin < end || counts.empty()) {
      counts.push_back(static_cast<uint32_t>(end - begin));
    }
    return counts;
  }

 private:
  /// One step to the right at a time: y is known at both sides of a middle.
  void add_flat(FinePoint from, FinePoint to, int64_t first, int64_t last) {
    if (from.x == to.x) return;  // a point
    const double slope =
        static_cast<double>(to.y - from.y) / static_cast<double>(to.x - from.x);
    const auto y_at = [&](int64_t x) {
      return rounded(static_cast<double>(from.y) +
                     slope * static_cast<double>(x - from.x));
    };
    for (int64_t x = first; x <= last; ++x) {
      const int64_t fine = kFine * x + kMiddle;
      add(x, std::min(y_at(fine), y_at(fine + 1)));
    }
  }

  /// One step down at a time: looks for the last step before the middle is
  /// passed. x only grows or only shrinks on the way.
  void add_steep(FinePoint from, FinePoint to, int64_t first, int64_t last) {
    const int64_t steps = to.y - from.y;
    const double slope =
        static_cast<double>(to.x - from.x) / static_cast<double>(steps);
    const auto x_at = [&](int64_t step) {
      return rounded(static_cast<double>(from.x) +
                     slope * static_cast<double>(step));
    };
    const bool grows = to.x > from.x;
    for (int64_t x = first; x <= last; ++x) {
      const int64_t fine = kFine * x + kMiddle;
      const auto passed = [&](int64_t step) {
        return grows ? x_at(step) > fine : x_at(step) <= fine;
      };
      int64_t before = 0, after = steps;  // not passed, passed
      while (after - before > 1) {
        const int64_t middle = before + (after - before) / 2;
        (passed(middle) ? after : before) = middle;
      }
      add(x, from.y + before);
    }
  }

  void add(int64_t column, int64_t y) {
    places_.push_back(column * size_.height + row_below(y, size_.height));
  }

  Size size_;
  std::vector<int64_t> places_;
};

}  // namespace

Rle fill_polygon(const double* corners, int64_t count, Size size) {
  check_size(size, "The mask");
  for (int64_t i = 0; i < 2 * count; ++i) {
    if (!(std::abs(corners[i]) <= kFarthest)) {
      throw Error(ErrorCode::kInvalidArg,
                  "The corners of a polygon must be numbers of pixels, at most "
                  "2^28.");
    }
  }
  const auto point = [&](int64_t i) {
    return FinePoint{rounded(kFine * corners[2 * i]),
                     rounded(kFine * corners[2 * i + 1])};
  };
  Crossings crossings(size);
  for (int64_t i = 0; i < count; ++i) {
    crossings.add_line(point(i), point(i + 1 < count ? i + 1 : 0));
  }
  return {size, crossings.counts()};
}

}  // namespace declip

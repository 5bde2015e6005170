#include "segment/crop_grid.h"

#include <algorithm>
#include <cmath>

#include "declip/mask_generator.h"

namespace declip {
namespace {

int64_t crop_side(int64_t length, int64_t crops, int64_t overlap) {
  return (overlap * (crops - 1) + length + crops - 1) / crops;
}

}  // namespace

std::vector<PictureCrop> crop_boxes(Size picture,
                                    int64_t layers,
                                    double overlap) {
  const auto [height, width] = picture;
  std::vector<PictureCrop> out{{0, 0, width, height, 0}};
  const auto share = overlap * static_cast<double>(std::min(height, width));
  for (int64_t layer = 1; layer <= layers; ++layer) {
    const int64_t crops = int64_t{1} << layer;
    const auto common =
        static_cast<int64_t>(share * (2.0 / static_cast<double>(crops)));
    const int64_t crop_width = crop_side(width, crops, common);
    const int64_t crop_height = crop_side(height, crops, common);
    for (int64_t i = 0; i < crops; ++i) {
      for (int64_t j = 0; j < crops; ++j) {
        const int64_t x0 = i * (crop_width - common);
        const int64_t y0 = j * (crop_height - common);
        if (x0 >= width || y0 >= height) continue;
        out.push_back({x0,
                       y0,
                       std::min(x0 + crop_width, width),
                       std::min(y0 + crop_height, height),
                       layer});
      }
    }
  }
  return out;
}

std::vector<double> point_grid(int64_t per_side) {
  const double first = 1.0 / static_cast<double>(2 * per_side);
  const double last = 1.0 - first;
  std::vector<double> side(per_side, first);
  const double step =
      per_side > 1 ? (last - first) / static_cast<double>(per_side - 1) : 0.0;
  for (int64_t i = 0; i < per_side; ++i) {
    // The product is rounded before the sum, whatever the compiler may join.
    const volatile double away = static_cast<double>(i) * step;
    side[i] = away + first;
  }
  if (per_side > 1) side.back() = last;
  std::vector<double> out;
  out.reserve(2 * per_side * per_side);
  for (const double y : side) {
    for (const double x : side) {
      out.push_back(x);
      out.push_back(y);
    }
  }
  return out;
}

}  // namespace declip

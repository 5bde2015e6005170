#include "segment/peaks.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace declip {
namespace {

/// Whether no neighbour is higher, and none before it as high.
bool is_summit(const float* map, Size size, int64_t x, int64_t y) {
  const float own = map[y * size.width + x];
  for (int64_t v = std::max<int64_t>(y - 1, 0);
       v <= std::min(y + 1, size.height - 1);
       ++v) {
    for (int64_t u = std::max<int64_t>(x - 1, 0);
         u <= std::min(x + 1, size.width - 1);
         ++u) {
      const float other = map[v * size.width + u];
      const bool before = v < y || (v == y && u < x);
      if (other > own || (before && other == own)) return false;
    }
  }
  return true;
}

}  // namespace

std::vector<Peak> find_peaks(const at::Tensor& map,
                             Size picture,
                             const PeakOptions& options) {
  const auto plane = map.to(at::kCPU, at::kFloat).contiguous();
  const auto* data = plane.const_data_ptr<float>();
  const Size size{plane.size(0), plane.size(1)};
  const double scale_x =
      static_cast<double>(picture.width) / static_cast<double>(size.width);
  const double scale_y =
      static_cast<double>(picture.height) / static_cast<double>(size.height);
  std::vector<Peak> summits;
  for (int64_t y = 0; y < size.height; ++y) {
    for (int64_t x = 0; x < size.width; ++x) {
      const float score = data[y * size.width + x];
      if (!(score >= options.min_score) || !is_summit(data, size, x, y)) {
        continue;
      }
      summits.push_back({0,
                         (static_cast<double>(x) + 0.5) * scale_x,
                         (static_cast<double>(y) + 0.5) * scale_y,
                         score});
    }
  }
  std::stable_sort(
      summits.begin(), summits.end(), [](const Peak& a, const Peak& b) {
        return a.score > b.score;
      });
  std::vector<Peak> kept;
  const double square = options.min_distance * options.min_distance;
  for (const auto& peak : summits) {
    if (static_cast<int64_t>(kept.size()) == options.limit) break;
    const bool apart =
        std::all_of(kept.begin(), kept.end(), [&](const Peak& other) {
          const double dx = peak.x - other.x, dy = peak.y - other.y;
          return dx * dx + dy * dy >= square;
        });
    if (apart) kept.push_back(peak);
  }
  return kept;
}

}  // namespace declip

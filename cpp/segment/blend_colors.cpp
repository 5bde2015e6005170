#include "declip/blend_colors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "declip/error.h"
#include "segment/label_map.h"

namespace declip {
namespace {

/// Rows between two looks at whether the call was cancelled.
constexpr int64_t kRowsPerLook = 16;

/// The 256 values that a channel of one class' pixels becomes.
using Table = std::array<uint8_t, 256>;

Table mixed(uint8_t color, double share) {
  Table table;
  for (int value = 0; value < 256; ++value) {
    const double sum = value + share * (color - value);
    const double down = std::floor(sum);
    table[value] = static_cast<uint8_t>(down + (sum - down >= 0.5 ? 1 : 0));
  }
  return table;
}

template <class Label>
class Blend {
 public:
  Blend(const Label* labels, uint8_t* rgb, Size size, const Coloring& how)
      : labels_(labels), rgb_(rgb), size_(size), how_(how) {
    for (const auto& color : how.colors) {
      auto& tables = tables_.emplace_back();
      for (size_t c = 0; color && c < 3; ++c) {
        tables[c] = mixed((*color)[c], how.opacity);
      }
    }
  }

  void row(int64_t y) const {
    const Label* own = labels_ + y * size_.width;
    uint8_t* pixel = rgb_ + 3 * y * size_.width;
    for (int64_t x = 0; x < size_.width; ++x, pixel += 3) {
      const auto& color = how_.colors[own[x]];
      if (!color) continue;
      if (on_rim(own, x, y)) {
        std::copy(color->begin(), color->end(), pixel);
        continue;
      }
      const auto& tables = tables_[own[x]];
      for (size_t c = 0; c < 3; ++c) pixel[c] = tables[c][pixel[c]];
    }
  }

 private:
  /// Whether another class is within `rim` pixels left, right, above or below.
  bool on_rim(const Label* own, int64_t x, int64_t y) const {
    const int64_t width = size_.width;
    for (int64_t r = 1; r <= how_.rim; ++r) {
      if ((x >= r && own[x - r] != own[x]) ||
          (x + r < width && own[x + r] != own[x]) ||
          (y >= r && own[x - r * width] != own[x]) ||
          (y + r < size_.height && own[x + r * width] != own[x])) {
        return true;
      }
    }
    return false;
  }

  const Label* labels_;
  uint8_t* rgb_;
  Size size_;
  const Coloring& how_;
  std::vector<std::array<Table, 3>> tables_;
};

}  // namespace

void blend_colors(const at::Tensor& rgb,
                  const at::Tensor& labels,
                  const Coloring& how,
                  const Call& call) {
  const LabelMap map(labels, static_cast<int64_t>(how.colors.size()));
  const Size size = map.size();
  if (rgb.scalar_type() != at::kByte || !rgb.is_cpu() || !rgb.is_contiguous() ||
      rgb.sizes() != at::IntArrayRef({size.height, size.width, 3})) {
    throw Error(ErrorCode::kInvalidArg,
                "The picture must be uint8 [H, W, 3] of the labels' size.");
  }
  auto* pixels = rgb.mutable_data_ptr<uint8_t>();
  map.visit([&](const auto* first) {
    const auto largest =
        *std::max_element(first, first + size.height * size.width);
    if (static_cast<size_t>(largest) >= how.colors.size()) {
      throw Error(ErrorCode::kInvalidArg, "A label has no color.");
    }
    const Blend blend(first, pixels, size, how);
    for (int64_t y = 0; y < size.height; ++y) {
      if (y % kRowsPerLook == 0) call.check();
      blend.row(y);
    }
  });
}

}  // namespace declip

#include "model/positions.h"

#include <ATen/ATen.h>

#include <cmath>
#include <optional>

#include "declip/error.h"

namespace declip {

at::Tensor resize_positions(const at::Tensor& table,
                            int64_t h,
                            int64_t w,
                            Positions rule) {
  const int64_t g =
      std::llround(std::sqrt(static_cast<double>(table.size(0) - 1)));
  const int64_t width = table.size(1);
  // The scale-factor code bases compare token counts only: a 7 x 28 picture
  // gets a 14 x 14 table as it is.
  const bool keep =
      rule == Positions::kScaleFactor ? h * w == g * g : h == g && w == g;
  if (keep) return table;

  auto map = table.slice(0, 1)
                 .reshape({1, g, g, width})
                 .permute({0, 3, 1, 2})
                 .to(at::kFloat);  // (1, C, g, g)
  std::optional<double> scale_h, scale_w;
  if (rule == Positions::kScaleFactor) {
    scale_h = (static_cast<double>(h) + 0.1) / static_cast<double>(g);
    scale_w = (static_cast<double>(w) + 0.1) / static_cast<double>(g);
  }
  map = at::upsample_bicubic2d(
      map, {h, w}, /*align_corners=*/false, scale_h, scale_w);
  return at::cat({table.slice(0, 0, 1),
                  map.permute({0, 2, 3, 1})
                      .reshape({h * w, width})
                      .to(table.scalar_type())},
                 0);
}

}  // namespace declip

#include "families/positions.h"

#include <ATen/ATen.h>

#include <optional>

namespace declip {
namespace {

/// map [1, C, N, N] -> [1, C, h, w].
at::Tensor antialiased(const at::Tensor& map,
                       int64_t h,
                       int64_t w,
                       TableResize rule) {
  constexpr bool kAlignCorners = false;
  return rule == TableResize::kAntialiased
             ? at::_upsample_bicubic2d_aa(
                   map, {h, w}, kAlignCorners, std::nullopt, std::nullopt)
             : at::_upsample_bilinear2d_aa(
                   map, {h, w}, kAlignCorners, std::nullopt, std::nullopt);
}

}  // namespace

at::Tensor resize_table(const at::Tensor& table,
                        int64_t h,
                        int64_t w,
                        TableResize rule) {
  const int64_t side = table.size(0), width = table.size(2);
  if (h == side && w == side) return table.reshape({h * w, width});
  const auto map =
      table.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat);  // (1, C, N, N)
  at::Tensor resized;
  if (rule == TableResize::kAntialiased ||
      rule == TableResize::kBilinearAntialiased) {
    // LibTorch repeats the first row where the result is one column wide; as a
    // single row it is right.
    const bool column = w == 1;
    resized = antialiased(column ? map.transpose(2, 3) : map,
                          column ? w : h,
                          column ? h : w,
                          rule);
    if (column) resized = resized.transpose(2, 3);
  } else if (rule == TableResize::kBilinear) {
    resized = at::upsample_bilinear2d(map, {h, w}, /*align_corners=*/false);
  } else {
    std::optional<double> scale_h, scale_w;
    if (rule == TableResize::kScaleFactor) {
      scale_h = (static_cast<double>(h) + 0.1) / static_cast<double>(side);
      scale_w = (static_cast<double>(w) + 0.1) / static_cast<double>(side);
    }
    resized = at::upsample_bicubic2d(
        map, {h, w}, /*align_corners=*/false, scale_h, scale_w);
  }
  return resized.squeeze(0)
      .permute({1, 2, 0})
      .reshape({h * w, width})
      .to(table.scalar_type());
}

}  // namespace declip

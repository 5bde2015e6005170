#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "image/row_range.h"
#include "image/windows.h"
#include "kernels/window_blend_args.h"

namespace declip {

/// Averages the overlapping windows of a plan into planes of the image's size.
class WindowBlend {
 public:
  /// grid_height x grid_width is the patch grid of a padded window.
  WindowBlend(const WindowPlan& plan,
              int64_t grid_height,
              int64_t grid_width,
              at::Device device);

  /// low  float32 [nW, grid_height, grid_width], one word's maps, each
  ///      contiguous
  /// out  contiguous float32 [rows.size(), plan.width], these rows of the
  ///      image: each map upsampled bilinearly to its padded window, the
  ///      padding cut away, summed and divided by the number of windows at the
  ///      pixel
  void rows(const at::Tensor& low, RowRange rows, const at::Tensor& out) const;

  /// All rows at once.
  void plane(const at::Tensor& low, const at::Tensor& out) const {
    rows(low, {0, rows_.extent}, out);
  }

  /// What the twins get of the same. Throws Error(kInternal) if a tensor does
  /// not fit the plan.
  BlendArgs args(const at::Tensor& low,
                 RowRange rows,
                 const at::Tensor& out) const;

 private:
  /// Tables of one axis, as BlendAxisArgs points to them.
  struct Axis {
    int64_t extent = 0;
    int64_t grid = 0;
    at::Tensor starts, first, second, cover_begin, cover_end;  // int32
    at::Tensor weight;                                         // float32
  };

  static Axis blend_axis(int64_t extent,
                         int64_t window,
                         const std::vector<int64_t>& starts,
                         int64_t padding,
                         int64_t padded,
                         int64_t grid,
                         at::Device device);

  Axis rows_;
  Axis columns_;
};

}  // namespace declip

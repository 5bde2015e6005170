#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/level.h"
#include "segment/windows.h"

namespace declip {

/// One axis of a window plan: how window pixels are made from the patch grid
/// and which windows cover an image pixel.
struct BlendAxis {
  int64_t extent = 0;           // of the image
  int64_t grid = 0;             // patches along a padded window
  std::vector<int64_t> starts;  // first image pixel of each window

  // For every pixel of a window, padding already cut away.
  std::vector<int32_t> first;
  std::vector<int32_t> second;
  std::vector<float> weight;  // of `second`

  // For every pixel of the image: windows cover_begin..cover_end.
  std::vector<int32_t> cover_begin;
  std::vector<int32_t> cover_end;
};

/// Averages the overlapping windows of a plan into planes of the image's size.
class WindowBlend {
 public:
  /// grid_height x grid_width is the patch grid of a padded window.
  WindowBlend(const WindowPlan& plan, int64_t grid_height, int64_t grid_width);

  /// low   one word's maps: window n starts at low + n * window_step and holds
  ///       grid_height x grid_width values
  /// out   plan.height x plan.width values: each map upsampled bilinearly to
  ///       its padded window, the padding cut away, summed and divided by the
  ///       number of windows at the pixel
  void plane(const float* low, int64_t window_step, float* out) const;

 private:
  BlendAxis rows_;
  BlendAxis columns_;
};

namespace cpu {
DECLIP_CPU_TWIN(void,
                window_blend,
                (const BlendAxis& rows,
                 const BlendAxis& columns,
                 const float* low,
                 int64_t window_step,
                 float* out),
                (rows, columns, low, window_step, out))
}  // namespace cpu

}  // namespace declip

#pragma once

#include <cstdint>

#include "kernels/cuda/twin.h"

namespace declip {

/// One axis of a window plan: how window pixels are made from the patch grid
/// and which windows cover an image pixel.
struct BlendAxisArgs {
  int64_t extent = 0;               // of the image
  int64_t grid = 0;                 // patches along a padded window
  int64_t windows = 0;              // along this axis
  int64_t pixels = 0;               // of a window, padding already cut away
  const int32_t* starts = nullptr;  // [windows] first image pixel of each

  // For every pixel of a window.
  const int32_t* first = nullptr;
  const int32_t* second = nullptr;
  const float* weight = nullptr;  // of `second`

  // For every pixel of the image: windows cover_begin..cover_end.
  const int32_t* cover_begin = nullptr;
  const int32_t* cover_end = nullptr;
};

struct BlendArgs {
  BlendAxisArgs rows;
  BlendAxisArgs columns;
  const float* low = nullptr;  // window n's map starts at n * window_step
  int64_t window_step = 0;
  float* out = nullptr;   // [row_end - row_begin, columns.extent]
  int64_t row_begin = 0;  // rows of the image that are made
  int64_t row_end = 0;
};

DECLIP_TWINS(window_blend, (const BlendArgs& args), (args))

}  // namespace declip

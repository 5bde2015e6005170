#pragma once

#include <cstdint>

#include "kernels/cpu/level.h"
#include "kernels/resize_plane_args.h"

namespace declip {

/// One word's logits of overlapping square windows of a square canvas, and of
/// the whole of it, become a plane of probabilities.
struct SigmoidBlendArgs {
  /// Of each window, row by row: [window.rows.in, window.rows.in]; null where
  /// the word has probability 0 in it.
  const float* const* maps = nullptr;
  const float* whole = nullptr;     // the same of the whole picture
  int64_t windows = 0;              // along a side
  const int32_t* starts = nullptr;  // [windows] first pixel of each, both ways
  ResizeAxisArgs window;            // from logits to pixels of a window
  ResizeAxisArgs canvas;  // from pixels of a window to those of the canvas
  float* out = nullptr;   // [row_end - row_begin, canvas.out]
  int64_t row_begin = 0;  // rows of the canvas that are made
  int64_t row_end = 0;
};

namespace cpu {

DECLIP_CPU_TWIN(void, sigmoid_blend, (const SigmoidBlendArgs& args), (args))

}  // namespace cpu

}  // namespace declip

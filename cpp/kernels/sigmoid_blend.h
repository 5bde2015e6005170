#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "image/row_range.h"
#include "image/windows.h"
#include "kernels/sigmoid_blend_args.h"

namespace declip {

/// Probabilities of a word on a square canvas from its logits in windows of it
/// and in the whole of it: logits are upsampled to the windows' pixels, made
/// into probabilities, averaged over the windows at a pixel, and averaged with
/// those of the whole picture, which are enlarged as probabilities.
class SigmoidBlend {
 public:
  /// canvas  square windows of a square, without padding
  /// grid    logits along a side of a window
  SigmoidBlend(const WindowPlan& canvas, int64_t grid);

  int64_t extent() const { return extent_; }

  /// maps  of every window, row by row, and of the whole last: float32
  ///       [grid, grid], contiguous, all on one device; undefined where the
  ///       word has probability 0 everywhere
  /// out   contiguous float32 [rows.size(), canvas], these rows of the canvas
  void rows(const std::vector<at::Tensor>& maps,
            RowRange rows,
            const at::Tensor& out) const;

 private:
  struct Taps {
    Taps(int64_t in, int64_t out);
    ResizeAxisArgs args() const;

    int64_t in, out;
    at::Tensor first, second, weight;  // int32, int32, float32 [out]
  };

  void by_operators(const std::vector<at::Tensor>& maps,
                    RowRange rows,
                    const at::Tensor& out) const;

  int64_t extent_, cut_;
  at::Tensor starts_;  // int32 [windows along a side]
  Taps window_, canvas_;
};

}  // namespace declip

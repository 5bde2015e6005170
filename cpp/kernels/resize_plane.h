#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "declip/size.h"
#include "image/row_range.h"
#include "kernels/resize_plane_args.h"

namespace declip {

/// Bilinear resize of planes of one size into another, whole or some rows at a
/// time: half-pixel centres, edges clamped, no antialias (PyTorch's
/// align_corners=False).
class PlaneResize {
 public:
  PlaneResize(Size from, Size to);

  /// The source rows that these rows of the result are made from.
  RowRange source(RowRange rows) const;

  /// in   contiguous float32 [n, from.width], the rows of the source from
  ///      `first` on, source(rows) among them
  /// out  contiguous float32 [rows.size(), to.width] on the same device
  void rows(const at::Tensor& in,
            int64_t first,
            RowRange rows,
            const at::Tensor& out) const;

  /// What the twins get of the same.
  ResizeArgs args(const float* in,
                  int64_t first,
                  RowRange rows,
                  float* out) const;

 private:
  struct Axis {
    Axis(int64_t in, int64_t out);
    ResizeAxisArgs args() const;

    int64_t in, out;
    at::Tensor first, second, weight;  // int32, int32, float32 [out]
  };

  Axis rows_;
  Axis columns_;
};

/// A whole plane at once: contiguous float32 [h, w] and [H, W] on one device.
void resize_plane(const at::Tensor& in, const at::Tensor& out);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "declip/size.h"
#include "image/row_range.h"
#include "image/windows.h"
#include "kernels/resize_plane.h"
#include "kernels/window_blend.h"

namespace declip {

/// Scores by region that are mixed into those of the windows, in the size of
/// the picture that windows are cut from.
struct ScoreShare {
  at::Tensor index;   // int32 [H', W'], the region of every pixel
  at::Tensor scores;  // float32 [Q, R]
  double share = 0;   // of these, the rest is the windows'
};

/// Makes the planes of words in the size of the result from the logits of their
/// windows, whole or some rows at a time; every row comes out the same.
class PlaneSource {
 public:
  /// low  float32 [nW, Q, h, w], logits of every window and word on the patch
  ///      grid of the padded window
  /// share  or null
  PlaneSource(const at::Tensor& low,
              const WindowPlan& plan,
              Size size,
              const ScoreShare* share = nullptr);

  int64_t words() const { return low_.size(1); }
  Size size() const { return size_; }
  at::TensorOptions options() const { return low_.options(); }

  /// out is [rows.size(), size.width] on the device of the logits. `scratch`
  /// is working memory that may serve any number of calls, one at a time.
  void write(int64_t word,
             RowRange rows,
             const at::Tensor& out,
             at::Tensor& scratch) const;

 private:
  void mix(int64_t word, RowRange rows, const at::Tensor& plane) const;

  at::Tensor low_;
  std::optional<ScoreShare> share_;
  Size size_;
  int64_t image_width_ = 0;
  bool direct_ = false;  // from the one window's grid to the result
  WindowBlend blend_;
  std::optional<PlaneResize> resize_;  // from the image's size, or the grid's
};

}  // namespace declip

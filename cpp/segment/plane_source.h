#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "declip/size.h"
#include "image/row_range.h"
#include "image/windows.h"
#include "kernels/resize_plane.h"
#include "kernels/window_blend.h"
#include "segment/word_planes.h"

namespace declip {

/// Scores by region that are mixed into those of the windows, in the size of
/// the picture that windows are cut from.
struct ScoreShare {
  at::Tensor index;   // int32 [H', W'], the region of every pixel
  at::Tensor scores;  // float32 [Q, R]
  double share = 0;   // of these, the rest is the windows'
};

/// Makes the planes of words in the size of the result from the logits of their
/// windows.
class PlaneSource final : public WordPlanes {
 public:
  /// low  float32 [nW, Q, h, w], logits of every window and word on the patch
  ///      grid of the padded window
  /// share  or null
  PlaneSource(const at::Tensor& low,
              const WindowPlan& plan,
              Size size,
              const ScoreShare* share = nullptr);

  int64_t words() const override { return low_.size(1); }
  Size size() const override { return size_; }
  at::TensorOptions options() const override { return low_.options(); }
  void write(int64_t word,
             RowRange rows,
             const at::Tensor& out,
             at::Tensor& scratch) const override;

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

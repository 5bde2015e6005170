#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "declip/cat_seg.h"
#include "declip/size.h"
#include "kernels/resize_plane.h"
#include "kernels/sigmoid_blend.h"
#include "segment/cat_seg_input.h"
#include "segment/word_planes.h"

namespace declip {

/// Probabilities of words from CAT-Seg's logits, in the size of the result: by
/// windows and the whole picture (SigmoidBlend) and then bilinear, or, not
/// sliding, of the one map as probabilities. That map belongs to the padded
/// picture and is stretched over the unpadded one, as the authors' program has
/// it. A word that an input did not keep has probability 0 there.
class CatSegPlanes final : public WordPlanes {
 public:
  /// logits  of every input of the geometry, which become this object's;
  ///         `words` words in all
  CatSegPlanes(CatSegLogits logits,
               const CatSegGeometry& geometry,
               int64_t words,
               Size size);

  int64_t words() const override { return words_; }
  Size size() const override { return size_; }
  at::TensorOptions options() const override { return maps_.options(); }
  void write(int64_t word,
             RowRange rows,
             const at::Tensor& out,
             at::Tensor& scratch) const override;
  bool is_zero(int64_t word) const override;

 private:
  /// Undefined where the input did not keep the word.
  at::Tensor map(int64_t input, int64_t word) const;

  at::Tensor maps_;            // float32 [n, K, m, m]
  std::vector<int32_t> kept_;  // [n, words]: place in maps_, -1 for none
  int64_t inputs_ = 0, words_ = 0;
  Size size_;
  std::optional<SigmoidBlend> blend_;  // if sliding
  std::optional<PlaneResize> resize_;  // to the result's size
};

}  // namespace declip

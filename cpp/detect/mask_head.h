#pragma once

#include <vector>

#include "detect/conv.h"

namespace declip {

/// mmdetection's FCNMaskHead, one mask for all classes.
class MaskHead {
 public:
  /// Places along a side of what boxes are pooled to; masks have twice as many.
  static constexpr int64_t kBins = 14;

  /// scope of `convs`, `upsample` and `conv_logits`.
  MaskHead(const Scope& scope, const Numerics& numerics);

  /// pooled [N, C, 14, 14] -> logits float32 [N, 28, 28].
  at::Tensor operator()(const at::Tensor& pooled) const;

 private:
  at::ScalarType dtype_;
  std::vector<Conv> convs_;
  Upsample2 up_;
  Conv out_;
};

}  // namespace declip

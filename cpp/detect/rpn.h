#pragma once

#include <vector>

#include "detect/conv.h"

namespace declip {

/// What a level says of its places, for propose(): float32.
struct RpnLevel {
  at::Tensor logits;  // [B, 3, h, w]
  at::Tensor deltas;  // [B, 12, h, w]
};

/// The region proposal network's convolutions, one set for all levels
/// (mmdetection's RPNHead with two or more of them), with batch norms where the
/// file has them.
class Rpn {
 public:
  /// scope of `rpn_conv`, `rpn_cls` and `rpn_reg`.
  Rpn(const Scope& scope, const Numerics& numerics);

  RpnLevel operator()(const at::Tensor& map) const;

 private:
  std::vector<Conv> convs_;
  Conv out_;  // logits and deltas, in float32 whatever the convolutions have
  int64_t anchors_ = 0;
};

}  // namespace declip

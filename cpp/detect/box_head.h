#pragma once

#include <vector>

#include "detect/conv.h"

namespace declip {

/// What the box head says of boxes, float32.
struct BoxAnswers {
  at::Tensor embeddings;  // [N, E], not below 0, not normalised
  at::Tensor deltas;      // [N, 4], not yet times their deviations
};

/// F-ViT's box head (models/fvit_head.py): convolutions, shared linear layers,
/// then one branch that is compared with words and one that moves the box.
class BoxHead {
 public:
  /// Places along a side of what boxes are pooled to.
  static constexpr int64_t kBins = 7;

  /// scope of `shared_convs`, `shared_fcs` and the branches.
  BoxHead(const Scope& scope, const Numerics& numerics);

  /// pooled [N, C, 7, 7].
  BoxAnswers operator()(const at::Tensor& pooled) const;

 private:
  at::ScalarType dtype_;
  std::vector<Conv> convs_;
  std::vector<Linear> shared_, words_, moves_;
  Linear out_;
};

/// Convolutions with batch norms folded in and ReLU, `scope`0, 1, ...
std::vector<Conv> normed_convolutions(const Scope& scope,
                                      const Numerics& numerics);

}  // namespace declip

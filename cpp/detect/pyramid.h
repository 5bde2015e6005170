#pragma once

#include <vector>

#include "detect/conv.h"

namespace declip {

/// The convolutions of 1 x 1 places that bring the four levels to the pyramid's
/// channels, batch norms folded in. `neck`: scope of `lateral_convs`.
std::vector<Folded> lateral_convolutions(const Scope& neck);

/// The feature pyramid behind them (mmdetection's FPN with batch norms and no
/// activations): coarse levels are added to the finer ones, then smoothed.
class Pyramid {
 public:
  /// neck: scope of `fpn_convs`.
  Pyramid(const Scope& neck, const Numerics& numerics);

  /// levels: what the lateral convolutions gave, [1, C, h, w] each, finest
  /// first; they are used up. Returns F0..F4, the last with every second row
  /// and column of F3.
  std::vector<at::Tensor> operator()(std::vector<at::Tensor>&& levels) const;

 private:
  std::vector<Conv> convs_;
};

}  // namespace declip

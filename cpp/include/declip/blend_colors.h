#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "declip/call.h"

namespace declip {

/// What a picture looks like under the colors of its classes.
struct Coloring {
  /// Red, green and blue of each class; empty for one that stays as it is.
  std::vector<std::optional<std::array<uint8_t, 3>>> colors;
  double opacity = 0.55;  // share of the color, 0 to 1
  /// Pixels at the edge of a colored region that take its color alone.
  int64_t rim = 2;
};

/// Mixes the colors of labels [H, W] into RGB pixels uint8 [H, W, 3], in
/// place. Throws Error(kInvalidArg) where the sizes differ or a label has no
/// entry in `colors`.
void blend_colors(const at::Tensor& rgb,
                  const at::Tensor& labels,
                  const Coloring& how,
                  const Call& call);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "declip/dense.h"

namespace declip {

/// table [1 + g*g, C] (class token first) -> [1 + h*w, C].
/// Cubic kernel with a = -0.75, no antialiasing, borders clamped.
at::Tensor resize_positions(const at::Tensor& table,
                            int64_t h,
                            int64_t w,
                            Positions rule);

}  // namespace declip

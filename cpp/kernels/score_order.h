#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace declip {

/// Places of the `most` highest of float32 scores [N] (0..N of them), int64 on
/// their device, in the order of falling scores; equal ones in the order in
/// which they came, NaN last. The others are not sorted.
at::Tensor order_by_score(const at::Tensor& scores, int64_t most);

}  // namespace declip

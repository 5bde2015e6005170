#pragma once

#include <ATen/core/Tensor.h>

namespace declip {

/// Whether a tensor on the CPU holds neither NaN nor infinity; integers never
/// do. Reads it once, by the bits of its exponents.
bool all_finite(const at::Tensor& tensor);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

namespace declip {

// ITACLIP's image engineering (arXiv:2411.12044): further copies of a window,
// made from the normalised pixels without clamping or normalising again.
// All take and return float [B, 3, h, w].

/// 0.2989 R + 0.587 G + 0.114 B in all three channels.
at::Tensor grey_copy(const at::Tensor& x);

/// Gaussian blur, 11 x 11 taps, sigma 5, borders reflected without repeating
/// the edge. Throws Error(kInvalidArg) if a side is shorter than 6 pixels.
at::Tensor blurred_copy(const at::Tensor& x);

/// Rows in reverse order.
at::Tensor flip_vertical(const at::Tensor& x);

/// Columns in reverse order.
at::Tensor flip_horizontal(const at::Tensor& x);

}  // namespace declip

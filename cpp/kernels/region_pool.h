#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace declip {

/// Weighted sums of a picture's features, which RoIAlign and mask pooling both
/// are: weights that do not depend on the features, times the features. One
/// matrix product per picture, on any device, with gradients.
///
/// features  floating point [B, C, h, w]
/// batch     int64 CPU [K], the picture of each region, 0..B-1
/// rows      weight rows per region
/// weights   given int64 CPU [k] regions, returns float32 [k * rows, h * w] on
///           the features' device; called for a bounded number at a time
/// Returns [K, rows, C] in the features' dtype; sums are in float32, those
/// of float64 features in float64.
at::Tensor pool_regions(
    const at::Tensor& features,
    const at::Tensor& batch,
    int64_t rows,
    const std::function<at::Tensor(const at::Tensor&)>& weights);

}  // namespace declip

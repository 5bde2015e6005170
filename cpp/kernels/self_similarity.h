#pragma once

#include <ATen/core/Tensor.h>

#include "declip/call.h"

namespace declip {

/// Lets every row attend to all rows that are like it:
///
///   s = unit(x) unit(x)^T
///   out = softmax(gain (s - mean(s)), negative entries left out) x
///
/// The mean is that of all entries, of which the diagonal is at least as large,
/// so that no row is left without any. RADSeg's global aggregation (Alama et
/// al., github.com/RADSeg-OVSS/RADSeg).
///
/// x     float32 [M, C]
/// gain  above 0
/// Returns float32 [M, C]. The scores [M, M] never exist together: this is
/// dense_attention() with one head, some rows at a time.
at::Tensor attend_to_alike(const at::Tensor& x, double gain, const Call& call);

}  // namespace declip

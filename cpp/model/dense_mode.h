#pragma once

#include <ATen/core/Tensor.h>

#include "declip/call.h"
#include "declip/dense.h"
#include "model/vision_tower.h"

namespace declip {

/// Patch features of `image` [B, 3, H, W] under a dense mode: [B, E, h, w], not
/// normalised, class token dropped. For ProxyCLIP h x w is the grid of its
/// external features.
/// Throws Error(kInvalidArg) when an option does not fit the mode or tower.
at::Tensor encode_dense(const VisionTower& tower,
                        const at::Tensor& image,
                        const DenseOptions& options,
                        const Call& call);

/// NACLIP's additive prior for an h x w grid, [1 + h*w, 1 + h*w] float32:
/// exp(-distance^2 / (2 std^2)) between patches, 0 in the class row and column.
/// Not normalised; added to the scaled logits. Hajimiri et al.,
/// arXiv:2404.08181, section 3.2.
at::Tensor gaussian_prior(Grid grid, double std);

/// The rule by which a mode's own code base resizes the positional table.
Positions default_positions(DenseMode mode);

}  // namespace declip

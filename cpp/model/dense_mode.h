#pragma once

#include <ATen/core/Tensor.h>

#include "declip/call.h"
#include "declip/dense.h"
#include "model/vision_tower.h"

namespace declip {

/// Tokens [B, 1 + N, C] of `image` [B, 3, H, W] after its first `count` blocks,
/// of which the last one is the mode's; `tap` may be null, and sees all of
/// them. Throws Error(kInvalidArg) when an option does not fit the mode or
/// tower.
at::Tensor dense_tokens(const VisionTower& tower,
                        const at::Tensor& image,
                        const DenseOptions& options,
                        int64_t count,
                        const Call& call,
                        Tap* tap = nullptr);

/// Patch features of `image` [B, 3, H, W] under a dense mode: [B, E, h, w], not
/// normalised, class token dropped. For ProxyCLIP h x w is the grid of its
/// external features. Throws as dense_tokens().
at::Tensor encode_dense(const VisionTower& tower,
                        const at::Tensor& image,
                        const DenseOptions& options,
                        const Call& call,
                        Tap* tap = nullptr);

/// The last step of encode_dense() under a mode that looks at the last block
/// alone (not ITACLIP, ProxyCLIP, SC-CLIP): x is that block's input [B, 1 + N,
/// C]. `heads` gets what the mode projects of q, k and v, class token first,
/// biases added, neither rotated nor scaled; undefined is what it does not
/// need.
at::Tensor finish_dense(const VisionTower& tower,
                        const at::Tensor& x,
                        Grid grid,
                        DenseMode mode,
                        Heads* heads = nullptr);

}  // namespace declip

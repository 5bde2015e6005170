#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "declip/call.h"
#include "declip/encoded_image.h"
#include "declip/size.h"
#include "image/windows.h"

namespace declip {

// Aggregation over the whole picture: features of windows are joined on one
// grid of cells, and every cell attends to all that are like it. RADSeg,
// github.com/RADSeg-OVSS/RADSeg; there around another tower.

/// Whether the options ask for it.
bool aggregates(const EncodeOptions& options);

/// What a picture of the working size is resized to, so that windows cover it
/// evenly: both sides multiples of the stride, which may change the ratio of
/// its sides, and at least one window. With window 0 it stays as it is.
Size aggregate_size(Size picture, const EncodeOptions& options);

/// A float picture [1, 3, H, W] in its aggregate_size(): bilinear, without
/// antialias.
at::Tensor resize_to_aggregate(const at::Tensor& image,
                               const EncodeOptions& options);

/// Throws Error(kInvalidArg) unless windows and steps are whole cells of
/// `cell` pixels and windows have no padding.
void check_cells(const WindowPlan& plan,
                 const EncodeOptions& options,
                 int64_t cell);

/// Features of windows [nW, C, h, w] on the grid of the whole picture, the mean
/// where windows overlap: [C, H / cell, W / cell].
at::Tensor join_windows(const at::Tensor& features, const WindowPlan& plan);

/// A map [C, h, w] after every cell attended to all that are like it.
at::Tensor aggregate_map(const at::Tensor& map, double gain, const Call& call);

/// The windows' features, not normalised, become one map [1, C, h, w] of unit
/// features, and the plan that of one pass over the whole picture.
at::Tensor aggregate_windows(const at::Tensor& features,
                             WindowPlan& plan,
                             const EncodeOptions& options,
                             const Call& call);

}  // namespace declip

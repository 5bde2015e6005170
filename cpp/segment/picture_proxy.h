#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "declip/size.h"
#include "image/windows.h"

namespace declip {

/// What windows first..last (last excluded) get of features [C, h, w] of the
/// whole picture: [last - first, C, grid.height, grid.width], every cell of
/// unit length. As if the features were brought to the plan's size bilinearly
/// and to unit length pixel by pixel, cut, continued by their edges into the
/// padding, brought to the grid bilinearly and to unit length once more; only
/// the pixels between which a cell lies are made.
/// CorrCLIP v2, github.com/zdk258/CorrCLIP, corrclip_segmentor.py.
at::Tensor window_proxy(const at::Tensor& features,
                        const WindowPlan& plan,
                        int64_t first,
                        int64_t last,
                        Size grid);

}  // namespace declip

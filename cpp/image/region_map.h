#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "declip/size.h"
#include "image/windows.h"

namespace declip {

/// The region that the border around padded windows is, where a map has no
/// number that is as large: CorrCLIP's code, arXiv:2411.10086.
constexpr int64_t kBorderRegion = 10000;

/// A map [H, W] of integers at another size: result[y, x] is
/// map[floor(y H / H'), floor(x W / W')], which no rounding changes.
at::Tensor resize_regions(const at::Tensor& regions, Size to);

/// The maps of windows first..last (last excluded) of a picture whose map
/// [H, W] has the picture's own size, as resize_regions() to the plan's size
/// would give it: int32 [last - first, padded_height, padded_width]. The border
/// is a region of its own, of a number above all others.
at::Tensor cut_regions(const at::Tensor& regions,
                       const WindowPlan& plan,
                       int64_t first,
                       int64_t last);

}  // namespace declip

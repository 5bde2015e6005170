#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/call.h"
#include "declip/mask_shapes.h"
#include "declip/size.h"

namespace declip {

/// Region maps say of every pixel which region it belongs to: int32 [H, W], 0
/// outside of regions. These make one of masks that may overlap: as if they
/// were painted over each other in ascending order of their keys, masks with
/// one key in the order of the list, and numbered from 1 on in that order.
/// CorrCLIP paints by area (CorrCLIPv1/README.md at 103bc18).
///
/// keys  one per mask; empty: its pixels, so that the larger mask wins
///
/// Masks are painted one after the other and only two maps of the picture
/// exist at a time, whatever the number of masks.

/// Of shapes that are all of one picture. Throws Error(kInvalidArg) beginning
/// with '#' and the shape's place for one that does not fit it.
at::Tensor paint_regions(const MaskShapes& shapes,
                         Size size,
                         const std::vector<double>& keys,
                         const Call& call);

/// Of masks [K, H, W] bool or uint8, not 0 is inside.
at::Tensor paint_regions(const at::Tensor& masks,
                         const std::vector<double>& keys,
                         const Call& call);

/// The regions of a map, ascending; at most `limit`, or Error(kInvalidArg).
std::vector<int32_t> region_values(const at::Tensor& regions,
                                   int64_t limit,
                                   const Call& call);

/// One mask for each of these regions: uint8 [K, H, W], 1 inside.
at::Tensor masks_of_regions(const at::Tensor& regions,
                            const std::vector<int32_t>& values,
                            const Call& call);

}  // namespace declip

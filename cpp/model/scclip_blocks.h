#pragma once

#include <cstdint>

#include "declip/dense.h"

namespace declip {

/// SC-CLIP's numbers that depend on a tower's depth, blocks counted from 1.
struct ScClipBlocks {
  int64_t middle = 0, early = 0;
  int64_t first_fused = 0, last_fused = 0;
  double class_weight = 0;
};

/// Those of `options`, and where they say nothing the published ones of a tower
/// of `depth` blocks. Throws Error(kInvalidArg) for a depth without published
/// numbers, with the options to give and what they are at the same relative
/// depths, and for numbers that do not fit.
ScClipBlocks scclip_blocks(const ScClipOptions& options, int64_t depth);

}  // namespace declip

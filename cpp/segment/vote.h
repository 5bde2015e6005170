#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "declip/call.h"
#include "declip/pipeline.h"
#include "declip/size.h"

namespace declip {

/// Gives all pixels of a region the most frequent of their labels, the smallest
/// of equally frequent ones (CorrCLIP's majority vote; corrclip_segmentor.py at
/// zdk258/CorrCLIP 103bc18). Pixels outside of regions keep theirs.
///
/// regions  int32 [H, W] of the labels' size, 0 outside of regions
/// smallest_abstains  CorrCLIP's own rule instead: the smallest value that
///          occurs, whichever it is, stands for what is outside of regions
///
/// `counts` follow, and the certainty of a pixel whose label changes becomes 0.
/// Scores and probabilities stay what they were. Time grows with the number of
/// pixels, memory (some bytes per pixel) with nothing else: no table of regions
/// and classes exists.
void vote_in_regions(const at::Tensor& regions,
                     bool smallest_abstains,
                     Segmentation& result,
                     const Call& call);

/// Throws Error(kInvalidArg) unless `regions` is int32 [H, W] of this size.
void check_regions(const at::Tensor& regions, Size size);

}  // namespace declip

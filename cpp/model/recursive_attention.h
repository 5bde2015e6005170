#pragma once

#include <ATen/core/Tensor.h>

#include "model/layers.h"
#include "model/vision_tower.h"

namespace declip {

/// RADSeg's last block that attends twice (self-correlating recursive
/// attention, github.com/RADSeg-OVSS/RADSeg): what the ordinary attention and
/// its output projection give is split into heads again, whose cosines times
/// 10, without the negative ones, are the scores of a second attention over the
/// same values. Returns its values [B, L, C] before the output projection.
/// Rotary positions turn the first attention's queries and keys, where the
/// tower has them.
at::Tensor attend_twice(const VisionTower& tower,
                        int64_t block,
                        Heads heads,
                        Grid grid);

}  // namespace declip

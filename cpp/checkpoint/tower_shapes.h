#pragma once

#include "checkpoint/internal_names.h"
#include "declip/config.h"

namespace declip {

/// Checks that every tensor the towers of `config` need is there, with its
/// shape and a floating-point type, that the towers hold nothing else, and
/// makes `logit_scale` a scalar.
/// Throws Error(kWeights) naming file, key, expected and found.
void check_towers(TowerTensors& weights, const ModelConfig& config);

}  // namespace declip

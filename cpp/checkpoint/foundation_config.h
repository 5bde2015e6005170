#pragma once

#include "checkpoint/internal_names.h"
#include "checkpoint/sidecar.h"
#include "declip/config.h"

namespace declip {

/// Sizes of a vision foundation model from its tensors' shapes; what those do
/// not tell from `sidecar` and `overrides`, the latter first.
/// Throws Error(kWeights), or Error(kInvalidArg) for an override that does not
/// fit.
ModelConfig derive_foundation_config(const TowerTensors& weights,
                                     Family family,
                                     const Sidecar& sidecar,
                                     const ConfigOverrides& overrides);

}  // namespace declip

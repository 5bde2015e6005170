#pragma once

#include <string>
#include <vector>

#include "checkpoint/internal_names.h"
#include "checkpoint/sidecar.h"
#include "declip/config.h"

namespace declip {

/// The towers' shapes, read from the tensors (OpenAI's rules: grid from the
/// positional table, 64 channels a head unless the width says otherwise), from
/// the Hugging Face config where there is one, then from `overrides`.
///
/// `activation_known`: the container itself says QuickGELU (OpenAI's archives).
/// What had to be assumed is appended to `notes`.
/// Throws Error(kWeights) naming file, key, expected and found;
/// Error(kInvalidArg) for overrides that do not fit the towers.
ModelConfig derive_config(const TowerTensors& weights,
                          Family family,
                          const Sidecar& sidecar,
                          const ConfigOverrides& overrides,
                          bool activation_known,
                          std::vector<std::string>& notes);

}  // namespace declip

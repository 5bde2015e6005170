#pragma once

#include <memory>

#include "model/encoder.h"

namespace declip {

/// The encoder of config.family from `visual.*` weights.
std::unique_ptr<VisionEncoder> make_encoder(const ModelConfig& config,
                                            const Weights& weights,
                                            const Numerics& numerics);

}  // namespace declip

#pragma once

#include <cstdint>
#include <string>

#include "declip/checkpoint.h"
#include "declip/config.h"

namespace declip {

/// A model that has learnt nothing, to train from scratch: every tensor of
/// `config` in float32, drawn from normal distributions as OpenCLIP does for
/// the plain tower and the text tower and EVA-CLIP for its own. The logit scale
/// begins at ln(1 / 0.07). The same seed gives the same weights.
/// Throws Error(kInvalidArg) for sizes that cannot be.
Checkpoint initial_checkpoint(const ModelConfig& config, uint64_t seed);

/// The same as files, in open_clip's layout: see Trainer::export_checkpoint().
void write_initial_checkpoint(const std::string& path,
                              const ModelConfig& config,
                              uint64_t seed);

}  // namespace declip

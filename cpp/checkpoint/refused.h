#pragma once

#include <span>

#include "checkpoint/family.h"
#include "declip/refusal.h"
#include "files/weight_files.h"

namespace declip {

/// Models that are not run and of no family that is: what is looked for before
/// the families, some of which would take a part of such a file, and after
/// them. In order.
std::span<const Signature> refused_before_families();
std::span<const Signature> refused_after_families();

/// Throws Error(kWeights) for what is refused whatever its tensors are called:
/// adapters, quantised weights, and folders whose config.json names a model
/// that is not run.
void reject_by_contents(const WeightFiles& files);

/// Throws Error(kWeights): "path: not a checkpoint this package runs: ...",
/// with the name that a configuration beside the weights gives the model.
[[noreturn]] void reject(const Refusal& refusal, const std::string& path);

/// What reject_by_contents() refuses.
std::vector<const Refusal*> refused_by_contents();

}  // namespace declip

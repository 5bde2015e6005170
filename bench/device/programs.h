#pragma once

#include <string>

#include "stopwatch.h"

namespace declip::bench {

/// Every kernel against plain loops or LibTorch's operators, then timed. Prints
/// a line each; false if one was wrong.
bool run_kernels(const Ceilings& ceilings, bool small);

/// A model with random weights in every dtype against the CPU in float32, then
/// timed. `folder` gets <name>.safetensors, the weights, and
/// <name>-outputs.safetensors, what the CPU makes of some inputs. False if
/// something was further off than it may be.
bool run_pipeline(const std::string& name,
                  const std::string& folder,
                  const Ceilings& ceilings,
                  bool small);

/// The first line of a message, without quotes and backslashes.
std::string plain_text(std::string message);

}  // namespace declip::bench

#pragma once

#include <optional>
#include <string>

namespace declip {

/// The dense mode that a published DeCLIP checkpoint was trained for, from the
/// name of the file, its folder or its Hugging Face repository:
/// DeCLIP_<tower>_<teacher>_<mode>_..., for example
/// DeCLIP_EVA-B_DINOv2-B_csa_0.05_2.0.pt. Nothing for any other name.
std::optional<std::string> dense_mode_from_name(const std::string& path);

/// The same from a safetensors file's metadata entry `dense_mode`, where this
/// package's trainer and the bundled model have it.
/// Throws Error(kWeights) for a mode that nothing is trained for.
std::string dense_mode_from_metadata(const std::string& mode,
                                     const std::string& path);

}  // namespace declip

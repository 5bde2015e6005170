#pragma once

#include <optional>
#include <string>

namespace declip {

/// The dense mode that a published DeCLIP checkpoint was trained for, from the
/// name of the file, its folder or its Hugging Face repository:
/// DeCLIP_<tower>_<teacher>_<mode>_..., for example
/// DeCLIP_EVA-B_DINOv2-B_csa_0.05_2.0.pt. Nothing for any other name.
std::optional<std::string> dense_mode_from_name(const std::string& path);

}  // namespace declip

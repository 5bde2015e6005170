#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "checkpoint/family.h"

namespace declip {

/// What a file was found to be.
struct Detected {
  const FamilySpec* family;
  const Layout* layout;
  std::string prefix;  // what the names that the key map speaks of begin with
};

/// Whether any name is one that detect() tells something from.
bool has_known_names(const std::map<std::string, at::Tensor>& tensors,
                     Families families);

/// Tells family and layout from the names of the tensors.
/// Throws Error(kWeights) that begins with `path` and says what the file holds
/// where that is something else: a timm tower, EVA01, a ResNet, SigLIP, a
/// vision foundation model that this package does not run, or nothing known.
Detected detect(const std::map<std::string, at::Tensor>& tensors,
                const std::string& path,
                Families families);

}  // namespace declip

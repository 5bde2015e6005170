#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "checkpoint/key_map.h"
#include "declip/config.h"

namespace declip {

/// How a file names its tensors; the last three are those of vision foundation
/// models.
enum class Naming {
  kClip,
  kHuggingFace,
  kBareTower,
  kDetector,
  kOriginal,
  kTimm,
  kTransformers,
};

struct Layout {
  Naming naming = Naming::kClip;
  Family family = Family::kPlain;
  KeyMap key_map;
  std::string prefix;  // what the keys of a foundation model begin with
};

/// Tells the layout from the names of the tensors.
/// Throws Error(kWeights) that begins with `path` and says what the file holds
/// where that is something else: a timm tower, EVA01, a ResNet, SigLIP, a
/// vision foundation model that this package does not run, or nothing known.
Layout detect_layout(const std::map<std::string, at::Tensor>& tensors,
                     const std::string& path);

}  // namespace declip

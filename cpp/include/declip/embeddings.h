#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace declip {

/// Text embeddings as projects publish them.
struct Embeddings {
  std::vector<std::string> names;  // empty where the file has none
  at::Tensor features;             // float32 [C, E], as the file has them
};

/// Reads a torch.save file (a dict of name -> vector in the file's order, or a
/// matrix) or a safetensors file (vectors by name, alphabetical, or the one
/// matrix it holds). Vectors are [E] or [1, E], of any floating type. Nothing
/// of the file is run. Throws Error(kIo) if it cannot be opened,
/// Error(kWeights) naming file and tensor otherwise.
Embeddings read_embeddings(const std::string& path);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "files/mapped_file.h"

namespace declip {

/// Every tensor of a checkpoint under the names its files give them, and what
/// the containers say besides.
struct WeightFiles {
  std::string path;    // the file, or the index of a sharded checkpoint
  std::string folder;  // where JSON files beside the weights are looked for
  std::map<std::string, at::Tensor> tensors;
  bool torchscript = false;
  bool trainer = false;
  std::optional<int64_t> epoch;
  std::optional<std::string> license, dense_mode;  // safetensors metadata
  std::optional<std::string> detector;   // safetensors: `declip.detector`, JSON
  std::optional<std::string> cat_seg;    // safetensors: `declip.catSeg`, JSON
  std::vector<std::string> class_names;  // mmdetection: meta.CLASSES
  std::vector<std::string> notes;        // what was taken of several
  std::vector<std::shared_ptr<const MappedFile>> files;  // all that was read
};

/// The path of the file, or index of shards, that a folder's model is in: of
/// transformers' names the first, of open_clip's where only these are there or
/// config.json is not transformers' (timm's image tower alone), else the only
/// model among other names.
/// Throws Error(kWeights) for none and for several, Error(kIo).
std::string weights_in_folder(const std::string& folder);

/// Reads a .safetensors file, a torch.save or TorchScript file, a sharded
/// checkpoint by its *.index.json, or the weights found in a folder. The
/// container is told by its first bytes, not by its name.
/// Throws Error(kIo) if nothing can be opened, Error(kWeights) otherwise.
WeightFiles read_weight_files(const std::string& path);

}  // namespace declip

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

struct TorchArchive {
  /// The state dict, keys of nested dicts and modules joined with '.'. Where
  /// the file wraps it (`model`, `state_dict`, `model_state_dict`...), what is
  /// inside.
  std::map<std::string, at::Tensor> tensors;
  bool torchscript = false;
  bool trainer = false;  // the file also holds an epoch or an optimizer
  std::optional<int64_t> epoch;
  std::string note;  // which weights were taken of several, or empty
  /// `CLASSES` of mmdetection's `meta`, names of what its heads tell apart;
  /// empty where there are none, or they are no list of texts.
  std::vector<std::string> class_names;
};

/// Whether the file begins as a zip file does.
bool is_zip(const MappedFile& file);

/// Reads the weights of a file from torch.save (PyTorch >= 1.6) or of a
/// TorchScript archive. Runs nothing from it: the pickle goes through
/// parse_pickle(), code/ is not looked at. Tensors alias the file's memory.
/// Throws Error(kWeights) naming file, key, expected and found.
TorchArchive read_torch_archive(const std::shared_ptr<const MappedFile>& file);
TorchArchive read_torch_archive(const std::string& path);

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

/// The tensors directly in the dict that a torch.save file holds, whatever
/// their names are, in the file's order; or the one tensor it is, without a
/// name. As read_torch_archive() otherwise.
std::vector<NamedTensor> torch_tensors(
    const std::shared_ptr<const MappedFile>& file);

}  // namespace declip

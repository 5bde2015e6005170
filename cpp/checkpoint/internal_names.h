#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "checkpoint/key_map.h"

namespace declip {

/// A file's tensors under the internal names, with what messages need to speak
/// of them by the names they have in the file.
struct TowerTensors {
  std::string path;
  KeyMap key_map;
  std::string prefix;  // of every key in the file that the map speaks of
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, at::Tensor> unused;  // what no rule maps, by its key

  bool has(const std::string& internal) const {
    return tensors.contains(internal);
  }
  /// Throws Error(kWeights) if the tensor is missing or its rank is another.
  const at::Tensor& need(const std::string& internal, int64_t rank) const;
  /// One more than the largest N of the tensors called `prefix`N.*; 0 if none.
  int64_t count_blocks(const std::string& prefix) const;
  /// Throws Error(kWeights): file, the tensor's name in it, `why`.
  [[noreturn]] void reject(const std::string& internal,
                           const std::string& why) const;
  /// What Checkpoint::check_finite is; it outlives these tensors.
  std::function<void(const std::string& name, const at::Tensor&)> finite_check()
      const;
};

/// Renames `tensors` by `key_map` and applies its transforms: projections are
/// transposed, separate q, k, v rows concatenated. Keys that do not begin with
/// `prefix` are not looked at.
/// Throws Error(kWeights) if parts of a fused tensor are missing or do not fit.
TowerTensors to_internal(const std::map<std::string, at::Tensor>& tensors,
                         KeyMap key_map,
                         const std::string& path,
                         const std::string& prefix = "");

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "files/mapped_file.h"
#include "model/text_tower.h"
#include "model/weights.h"

namespace declip {

/// A text tower that is made at its first use. Until then it holds what the
/// checkpoint's file maps, which takes no memory.
class LazyTextTower {
 public:
  LazyTextTower(const TextConfig& config,
                std::map<std::string, at::Tensor> tensors,
                at::Device device,
                const Numerics& numerics,
                TensorCheck check,
                std::vector<std::weak_ptr<const MappedFile>> files);

  /// Throws Error(kAborted) if the call is cancelled while the tower is made; a
  /// later call makes it then. Throws Error(kWeights) if a tensor is not
  /// finite, Error(kIo) if the file is no longer whole.
  const TextTower& get(const Call& call) const;

  /// Tells text towers apart without making them.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  TextConfig config_;
  at::Device device_;
  Numerics numerics_;
  TensorCheck check_;
  std::vector<std::weak_ptr<const MappedFile>> files_;
  std::string fingerprint_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, at::Tensor> tensors_;  // until it is made
  mutable std::unique_ptr<const TextTower> tower_;
};

}  // namespace declip

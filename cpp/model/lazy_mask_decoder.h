#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "checkpoint/family.h"
#include "files/mapped_file.h"
#include "model/layers.h"

namespace declip {

/// A mask decoder that is made at its first use, as LazyTextTower is: until
/// then it holds what the checkpoint's file maps.
class LazyMaskDecoder {
 public:
  LazyMaskDecoder(std::shared_ptr<const MaskDecoderFile> file,
                  at::Device device,
                  const Numerics& numerics,
                  std::vector<std::weak_ptr<const MappedFile>> files);

  /// Throws Error(kAborted) if the call is cancelled while it is made; a later
  /// call makes it then. Throws Error(kWeights) if a tensor is not finite,
  /// Error(kIo) if the file is no longer whole.
  const MaskDecoder& get(const Call& call) const;

 private:
  at::Device device_;
  Numerics numerics_;
  std::vector<std::weak_ptr<const MappedFile>> files_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const MaskDecoderFile> file_;  // until it is made
  mutable std::unique_ptr<const MaskDecoder> decoder_;
};

}  // namespace declip

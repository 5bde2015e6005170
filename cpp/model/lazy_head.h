#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "declip/call.h"
#include "files/mapped_file.h"
#include "model/layers.h"
#include "model/weights.h"

namespace declip {

/// What stands on a tower, such as SAM's mask decoder or a detector's heads,
/// and is made at its first use, as LazyTextTower is: until then it holds what
/// the checkpoint's file maps. `File` is MaskDecoderFile or DetectorFile.
template <class File, class Head>
class LazyHead {
 public:
  LazyHead(std::shared_ptr<const File> file,
           at::Device device,
           const Numerics& numerics,
           std::vector<std::weak_ptr<const MappedFile>> files)
      : device_(device),
        numerics_(numerics),
        files_(std::move(files)),
        file_(std::move(file)) {}

  /// Throws Error(kAborted) if the call is cancelled while it is made; a later
  /// call makes it then. Throws Error(kWeights) if a tensor is not finite,
  /// Error(kIo) if the file is no longer whole.
  const Head& get(const Call& call) const {
    const std::lock_guard lock(mutex_);
    if (head_ == nullptr) {
      // What the caller hears of is its picture.
      const Call quiet{call.cancelled, {}};
      const Weights weights(
          file_->tensors, device_, at::kFloat, quiet, file_->check_finite);
      auto head = file_->make(file_->config, weights, numerics_);
      check_files(files_);
      head_ = std::move(head);
      file_.reset();
    }
    return *head_;
  }

 private:
  at::Device device_;
  Numerics numerics_;
  std::vector<std::weak_ptr<const MappedFile>> files_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const File> file_;  // until it is made
  mutable std::shared_ptr<const Head> head_;
};

}  // namespace declip

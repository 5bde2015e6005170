#include "model/lazy_mask_decoder.h"

#include <utility>

#include "model/weights.h"

namespace declip {

LazyMaskDecoder::LazyMaskDecoder(
    std::shared_ptr<const MaskDecoderFile> file,
    at::Device device,
    const Numerics& numerics,
    std::vector<std::weak_ptr<const MappedFile>> files)
    : device_(device),
      numerics_(numerics),
      files_(std::move(files)),
      file_(std::move(file)) {
  // Position codes lose their place in 16 bits, and the decoder is small.
  numerics_.dtype = at::kFloat;
  numerics_.int8 = false;
}

const MaskDecoder& LazyMaskDecoder::get(const Call& call) const {
  const std::lock_guard lock(mutex_);
  if (decoder_ == nullptr) {
    // What the caller hears of is its picture.
    const Call quiet{call.cancelled, {}};
    const Weights weights(
        file_->tensors, device_, at::kFloat, quiet, file_->check_finite);
    auto decoder = file_->make(file_->config, weights, numerics_);
    check_files(files_);
    decoder_ = std::move(decoder);
    file_.reset();
  }
  return *decoder_;
}

}  // namespace declip

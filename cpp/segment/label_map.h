#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "declip/error.h"
#include "declip/size.h"

namespace declip {

/// The class index of every pixel, row by row, in memory.
class LabelMap {
 public:
  /// labels [H, W] uint8 or uint16 on any device. Throws Error(kInvalidArg) for
  /// anything else, or unless there are 1 to 65536 classes.
  LabelMap(const at::Tensor& labels, int64_t classes) {
    const auto type = labels.scalar_type();
    if (labels.dim() != 2 || (type != at::kByte && type != at::kUInt16)) {
      throw Error(ErrorCode::kInvalidArg,
                  "Labels must be uint8 or uint16 [H, W].");
    }
    if (classes < 1 || classes > 65536) {
      throw Error(ErrorCode::kInvalidArg,
                  "There must be 1 to 65536 classes, received " +
                      std::to_string(classes) + ".");
    }
    size_ = {labels.size(0), labels.size(1)};
    check_size(size_, "The label map");
    labels_ = labels.to(at::kCPU).contiguous();
  }

  Size size() const { return size_; }

  /// Calls `work` with a pointer to the first label.
  template <class Work>
  auto visit(Work work) const {
    return labels_.scalar_type() == at::kByte
               ? work(static_cast<const uint8_t*>(labels_.const_data_ptr()))
               : work(static_cast<const uint16_t*>(labels_.const_data_ptr()));
  }

 private:
  at::Tensor labels_;
  Size size_;
};

}  // namespace declip

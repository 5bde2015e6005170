#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "declip/call.h"

namespace declip {

/// Throws where a tensor cannot be used.
using TensorCheck =
    std::function<void(const std::string& name, const at::Tensor&)>;

/// A checkpoint's tensors on their way into layers: each is brought to the
/// device and dtype when it is asked for, so that no second copy of all of them
/// ever exists. `check` sees each as it is in the file. Asking counts as
/// progress and may be cancelled.
class Weights {
 public:
  Weights(const std::map<std::string, at::Tensor>& tensors,
          at::Device device,
          at::ScalarType dtype,
          const Call& call,
          TensorCheck check = {})
      : tensors_(tensors),
        device_(device),
        dtype_(dtype),
        call_(call),
        check_(std::move(check)) {}

  /// Undefined when absent.
  at::Tensor find(const std::string& name) const;
  /// As it is in the file, but on the device.
  at::Tensor stored(const std::string& name) const;

 private:
  const std::map<std::string, at::Tensor>& tensors_;
  at::Device device_;
  at::ScalarType dtype_;
  const Call& call_;
  TensorCheck check_;
  mutable int64_t done_ = 0;
};

/// Weight lookup under a prefix. The checkpoint loader has checked every shape,
/// so a missing key is a defect of ours.
class Scope {
 public:
  Scope(const Weights& weights, std::string prefix)
      : weights_(weights), prefix_(std::move(prefix)) {}

  Scope operator/(const std::string& name) const {
    return {weights_, prefix_ + name + "."};
  }
  at::Tensor operator[](const std::string& name) const;
  /// Undefined when absent.
  at::Tensor find(const std::string& name) const {
    return weights_.find(prefix_ + name);
  }
  at::Tensor stored(const std::string& name) const {
    return weights_.stored(prefix_ + name);
  }

 private:
  const Weights& weights_;
  std::string prefix_;
};

}  // namespace declip

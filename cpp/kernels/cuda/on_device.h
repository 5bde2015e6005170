#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>

#include "kernels/cuda/twin.h"

namespace declip::cuda {

/// Makes a tensor's device the current one while it lives, and converts to the
/// stream to launch on.
class OnDevice {
 public:
  explicit OnDevice(const at::Tensor& x)
      : guard_(x.device()), stream_(current_stream()) {}
  operator Stream() const { return stream_; }

 private:
  c10::DeviceGuard guard_;
  Stream stream_;
};

}  // namespace declip::cuda

/// Calls the twin of op `name` for the tensor's device; further arguments are
/// the op's own.
#define DECLIP_RUN_TWIN(tensor, name, ...)                                \
  ((tensor).is_cuda() ? cuda::name(__VA_ARGS__, cuda::OnDevice((tensor))) \
                      : cpu::name(__VA_ARGS__))

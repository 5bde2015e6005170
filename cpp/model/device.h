#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>

namespace declip {

struct Placement {
  c10::Device device;
  c10::ScalarType dtype;
  bool int8 = false;   // products in 8 bits, everything else in dtype
  std::string reason;  // one sentence: why this device
};

/// CUDA devices this build can use; 0 in a CPU build.
int64_t cuda_devices();

/// x on a device. To CUDA it goes through page-locked memory, so that the copy
/// runs beside what the CPU does next.
at::Tensor upload(const at::Tensor& x, c10::Device device);

/// Chooses where a model computes. 'auto' takes CUDA where this build and
/// machine have it; an explicit device is never replaced by another.
/// Throws Error(kDevice), or Error(kInvalidArg) for an unknown name.
Placement place(const std::string& device, const std::string& dtype);

}  // namespace declip

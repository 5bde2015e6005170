#include "model/device.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include "declip/error.h"
#include "kernels/cuda/twin.h"
#include "model/layers.h"

namespace declip {

int64_t cuda_devices() {
  return cuda::kBuilt && at::hasCUDA()
             ? at::detail::getCUDAHooks().deviceCount()
             : 0;
}

at::Tensor upload(const at::Tensor& x, c10::Device device) {
  if (!x.is_cpu() || !device.is_cuda()) return x.to(device);
  return x.contiguous().pin_memory().to(
      device, x.scalar_type(), /*non_blocking=*/true);
}

namespace {

/// 'cuda' is 0, 'cuda:N' is N, anything else -1.
int64_t cuda_index(const std::string& name) {
  if (name == "cuda") return 0;
  const std::string prefix = "cuda:";
  if (name.rfind(prefix, 0) != 0) return -1;
  const auto digits = name.substr(prefix.size());
  if (digits.empty() || digits.size() > 3 ||
      digits.find_first_not_of("0123456789") != std::string::npos) {
    return -1;
  }
  return std::stoll(digits);
}

c10::ScalarType scalar_type(const std::string& dtype, bool cuda) {
  if (dtype == "auto") return cuda ? at::kHalf : at::kFloat;
  if (dtype == "float32") return at::kFloat;
  if (dtype == "bfloat16") return at::kBFloat16;
  if (dtype == "float16") return at::kHalf;
  if (dtype == "int8") return at::kFloat;
  throw Error(ErrorCode::kInvalidArg,
              "dtype must be 'auto', 'float32', 'bfloat16', 'float16' or "
              "'int8', received '" +
                  dtype + "'.");
}

Placement place_only(const std::string& device, const std::string& dtype) {
  const int64_t count = cuda_devices();
  const std::string why =
      cuda::kBuilt ? "no CUDA device or driver was found on this machine"
                   : "this build has no CUDA";
  if (device == "auto") {
    if (count > 0) {
      return {c10::Device(c10::kCUDA, 0),
              scalar_type(dtype, true),
              false,
              "A CUDA device is there."};
    }
    return {c10::kCPU,
            scalar_type(dtype, false),
            false,
            "CPU, because " + why + "."};
  }
  if (device == "cpu") {
    return {
        c10::kCPU, scalar_type(dtype, false), false, "The CPU was asked for."};
  }
  const int64_t index = cuda_index(device);
  if (index < 0) {
    throw Error(ErrorCode::kInvalidArg,
                "device must be 'auto', 'cpu', 'cuda' or 'cuda:<index>', "
                "received '" +
                    device + "'.");
  }
  if (index >= count) {
    throw Error(ErrorCode::kDevice,
                "Device '" + device + "' was asked for, but " +
                    (count > 0 ? "there are only " + std::to_string(count) +
                                     " CUDA devices"
                               : why) +
                    ". Use device 'auto' or 'cpu'.");
  }
  return {c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index)),
          scalar_type(dtype, true),
          false,
          "It was asked for."};
}

}  // namespace

Placement place(const std::string& device, const std::string& dtype) {
  auto placement = place_only(device, dtype);
  if (dtype != "int8") return placement;
  const auto why = placement.device.is_cpu()
                       ? Linear::int8_obstacle()
                       : std::string("it is for the CPU only");
  if (!why.empty()) {
    throw Error(
        ErrorCode::kDevice,
        "dtype 'int8' cannot be used here: " + why + ". Use dtype 'auto'.");
  }
  placement.int8 = true;
  return placement;
}

}  // namespace declip

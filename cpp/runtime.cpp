#include "declip/runtime.h"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include "model/device.h"

namespace declip {

Runtime runtime() {
  return {TORCH_VERSION,
          at::get_cpu_capability(),
          at::hasMKLDNN(),
          at::hasCUDA(),
          cuda_devices()};
}

c10::Device device_from(const std::string& name) {
  return place(name, "auto").device;
}

}  // namespace declip

#include "declip/runtime.h"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include "kernels/cpu/level.h"
#include "kernels/cuda/twin.h"
#include "model/device.h"
#include "model/layers.h"

namespace declip {

namespace {

Numerics numerics_of(at::ScalarType dtype, bool int8 = false) {
  Numerics numerics;
  numerics.fused = true;
  numerics.dtype = dtype;
  numerics.int8 = int8;
  return numerics;
}

}  // namespace

Runtime runtime() {
  const auto obstacle = Linear::int8_obstacle();
  return {
      TORCH_VERSION,
      at::get_cpu_capability(),
      at::hasMKLDNN(),
      cuda::kBuilt,
      cuda_devices(),
      std::string(cpu::level_name(cpu::level())) +
          (cpu::has_every_level() ? "" : " (built for this processor alone)"),
      Linear::describe(numerics_of(at::kFloat)),
      Linear::describe(numerics_of(at::kBFloat16)),
      obstacle.empty() ? Linear::describe(numerics_of(at::kFloat, true))
                       : "refused: " + obstacle,
      Linear::is_packed(numerics_of(at::kBFloat16))};
}

bool kernels_run_here() { return cpu::runs_here(); }

c10::Device device_from(const std::string& name) {
  return place(name, "auto").device;
}

}  // namespace declip

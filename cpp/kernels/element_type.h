#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <optional>

#include "kernels/element_math.h"

namespace declip {

/// A tensor's dtype as kernels name it; none for those that have no kernel.
inline std::optional<ElementType> element_type(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::kFloat:
      return ElementType::kFloat32;
    case c10::kBFloat16:
      return ElementType::kBFloat16;
    case c10::kHalf:
      return ElementType::kFloat16;
    default:
      return {};
  }
}

/// Whether an op that takes several formats has a twin for this one: the CPU's
/// leave float16 to LibTorch.
inline bool has_twin(c10::Device device, ElementType type) {
  return device.is_cuda() || (device.is_cpu() && type != ElementType::kFloat16);
}

}  // namespace declip

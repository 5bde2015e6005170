#pragma once

#include <cstdint>

#include "kernels/cuda/twin.h"
#include "kernels/element_math.h"

namespace declip {

struct RopeArgs {
  void* x = nullptr;  // of token 0
  int64_t batch = 0;  // strides in elements
  int64_t token = 0;
  int64_t head = 0;
  int64_t prefix = 0;  // tokens in front that stay
  int64_t batches = 0;
  int64_t patches = 0;
  int64_t heads = 0;
  int64_t width = 0;
  const float* cos = nullptr;  // [patches, width]
  const float* sin = nullptr;
  ElementType type = ElementType::kFloat32;
};

DECLIP_TWINS(rotate_pairs, (const RopeArgs& args), (args))

}  // namespace declip

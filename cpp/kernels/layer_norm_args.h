#pragma once

#include <cstdint>

#include "kernels/cuda/twin.h"
#include "kernels/element_math.h"

namespace declip {

struct LayerNormArgs {
  const void* x = nullptr;  // row r starts at r * row elements
  int64_t row = 0;
  int64_t rows = 0;
  int64_t width = 0;  // C
  bool gated = false;
  const float* weight = nullptr;
  const float* bias = nullptr;
  float eps = 0.0f;
  void* out = nullptr;  // contiguous
  ElementType in_type = ElementType::kFloat32;
  ElementType out_type = ElementType::kFloat32;
};

DECLIP_TWINS(layer_norm, (const LayerNormArgs& norm), (norm))

}  // namespace declip

#pragma once

#include <cstdint>

#include "kernels/cuda/twin.h"

namespace declip {

/// One product of the weights with a picture's features, [K, h * w] times
/// [h * w, C], is the whole of mask pooling.
struct MaskPoolArgs {
  const void* masks = nullptr;  // [K, pixels]
  bool bytes = false;           // bool masks, one byte each; else float32
  int64_t count = 0;            // K
  int64_t pixels = 0;           // h * w
  float* weights = nullptr;     // [K, pixels]: mask / (its sum + 1e-12)
};

DECLIP_TWINS(mask_pool_weights, (const MaskPoolArgs& args), (args))

}  // namespace declip

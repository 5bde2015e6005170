#pragma once

#include <cstdint>

#include "kernels/cuda/twin.h"

namespace declip {

/// Contiguous planes.
struct ResizeArgs {
  const float* in = nullptr;
  int64_t in_height = 0;
  int64_t in_width = 0;
  float* out = nullptr;
  int64_t out_height = 0;
  int64_t out_width = 0;
};

DECLIP_TWINS(resize_plane, (const ResizeArgs& args), (args))

}  // namespace declip

#pragma once

#include <cstdint>

#include "kernels/cuda/twin.h"

namespace declip {

/// One product of the weights with a picture's features, [K * bins, h * w]
/// times [h * w, C], is the whole of RoIAlign.
struct RoiAlignArgs {
  const float* boxes = nullptr;  // [K, 4] xyxy in patches
  int64_t count = 0;             // K
  int64_t height = 0;            // h
  int64_t width = 0;             // w
  int64_t out_height = 1;
  int64_t out_width = 1;
  float* weights = nullptr;  // [K, out_height * out_width, h * w]
};

DECLIP_TWINS(roi_align_weights, (const RoiAlignArgs& args), (args))

}  // namespace declip

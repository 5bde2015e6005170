#pragma once

#include <cstdint>

#include "kernels/cuda/twin.h"
#include "kernels/element_math.h"

namespace declip {

constexpr int64_t kMostRoiMaps = 8;

struct RoiMapArgs {
  const void* features = nullptr;  // [B, h, w, C]
  float* gradient = nullptr;       // the same; of the backward twin
  int64_t height = 0, width = 0;
  float scale_y = 0, scale_x = 0;
};

struct RoiLevelsArgs {
  RoiMapArgs maps[kMostRoiMaps];
  int64_t map_count = 0;
  int64_t pictures_count = 0;         // B
  const float* boxes = nullptr;       // [N, 4] xyxy
  const int64_t* level = nullptr;     // [N]
  const int64_t* pictures = nullptr;  // [N]
  int64_t count = 0;                  // N
  int64_t channels = 0;               // C
  int64_t out_height = 1, out_width = 1;
  ElementType type = ElementType::kFloat32;  // of features and pooled
  void* pooled = nullptr;                    // [N, out_height, out_width, C]
  const float* upstream = nullptr;           // the same; of the backward twin
};

DECLIP_TWINS(roi_align_levels, (const RoiLevelsArgs& args), (args))

/// Adds to maps[].gradient.
DECLIP_TWINS(roi_align_levels_backward, (const RoiLevelsArgs& args), (args))

}  // namespace declip

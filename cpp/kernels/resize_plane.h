#pragma once

#include <cstdint>

#include "kernels/cpu/level.h"

namespace declip {

/// Bilinear resize of one float plane: half-pixel centres, edges clamped, no
/// antialias (PyTorch's align_corners=False).
void resize_plane(const float* in,
                  int64_t in_height,
                  int64_t in_width,
                  float* out,
                  int64_t out_height,
                  int64_t out_width);

namespace cpu {
DECLIP_CPU_TWIN(void,
                resize_plane,
                (const float* in,
                 int64_t in_height,
                 int64_t in_width,
                 float* out,
                 int64_t out_height,
                 int64_t out_width),
                (in, in_height, in_width, out, out_height, out_width))
}  // namespace cpu

}  // namespace declip

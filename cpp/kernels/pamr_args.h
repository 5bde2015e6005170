#pragma once

#include <cstdint>

#include "kernels/cuda/twin.h"

namespace declip {

/// Rows with `margin` copies of the edge value on both sides, so that a
/// neighbour left or right of the plane is read like any other.
struct PaddedPlanes {
  float* data = nullptr;  // of pixel (0, 0) of plane 0
  int64_t row = 0;        // floats from a row to the next
  int64_t plane = 0;      // floats from a plane to the next
  int64_t margin = 0;
};

constexpr int64_t kMaxDilations = 8;

/// What both PAMR kernels need to know of the neighbourhood.
struct PamrShape {
  int64_t height = 0;
  int64_t width = 0;
  int64_t dilations[kMaxDilations] = {};
  int64_t dilation_count = 0;
};

/// image: three channels with margins filled. weights as in PamrAffinity.
DECLIP_TWINS(pamr_affinity,
             (const PamrShape& shape,
              const PaddedPlanes& image,
              float* weights),
             (shape, image, weights))

/// One iteration for `count` planes. Reads and fills margins on the CPU; the
/// CUDA twin has no use for them.
DECLIP_TWINS(pamr_step,
             (const PamrShape& shape,
              const float* weights,
              const PaddedPlanes& in,
              const PaddedPlanes& out,
              int64_t count),
             (shape, weights, in, out, count))

}  // namespace declip

#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/host_device.h"

namespace declip {

/// Neighbours per dilation, centre left out, row-major.
constexpr int64_t kPamrNeighbours = 8;

struct PamrOffset {
  int64_t y;
  int64_t x;
};

/// Offset of neighbour 0..7 in units of the dilation.
DECLIP_HD PamrOffset pamr_offset(int64_t neighbour) {
  const int64_t cell = neighbour < 4 ? neighbour : neighbour + 1;
  return {cell / 3 - 1, cell % 3 - 1};
}

DECLIP_HD int64_t clamp_index(int64_t i, int64_t size) {
  return i < 0 ? 0 : i >= size ? size - 1 : i;
}

constexpr int64_t kPamrChannels = 3;

/// What one channel takes off the affinity of two pixels.
DECLIP_HD float pamr_distance(float center, float neighbour, float contrast) {
  return std::fabs(center - neighbour) * contrast / kPamrChannels;
}

/// Factor on |x_i - x_p|: 1 / (1e-8 + std / 10), with the unbiased deviation of
/// `samples` values whose squared distances from their mean sum to `squares`.
DECLIP_HD float pamr_contrast(float squares, int64_t samples) {
  return 1.0f /
         (1e-8f + 0.1f * std::sqrt(squares / static_cast<float>(samples - 1)));
}

}  // namespace declip

#pragma once

#include <cstdint>

#include "kernels/host_device.h"
#include "kernels/rounded_math.h"

namespace declip {

/// What is added to the coordinates of a box of a class.
DECLIP_HD float nms_offset(int64_t box_class, float shift) {
  return rounded_product(static_cast<float>(box_class), shift);
}

DECLIP_HD float nms_area(float x1, float y1, float x2, float y2) {
  return rounded_product(x2 - x1, y2 - y1);
}

/// Width or height of an intersection.
DECLIP_HD float nms_side(float low_a, float low_b, float high_a, float high_b) {
  const float low = low_a > low_b ? low_a : low_b;
  const float high = high_a < high_b ? high_a : high_b;
  return high > low ? high - low : 0.0f;
}

/// Whether the intersection of this size is more than `threshold` of the union;
/// 0/0 is not.
DECLIP_HD bool nms_overlap(
    float width, float height, float area_a, float area_b, float threshold) {
  const float both = rounded_product(width, height);
  return both / (area_a + area_b - both) > threshold;
}

}  // namespace declip

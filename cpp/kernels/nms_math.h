#pragma once

#include "kernels/host_device.h"

namespace declip {

/// a * b in float32. The double product is exact, so that it is rounded once
/// and no compiler makes one operation of it and a later sum.
DECLIP_HD float rounded_product(float a, float b) {
  return static_cast<float>(static_cast<double>(a) * static_cast<double>(b));
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

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

struct NmsBox {
  float x1, y1, x2, y2, area;
};

/// Box i of [K, 4], moved by its class where there are classes.
DECLIP_HD NmsBox nms_box(const float* boxes,
                         const int64_t* classes,
                         float shift,
                         int64_t i) {
  const float* corner = boxes + 4 * i;
  const float offset = classes ? nms_offset(classes[i], shift) : 0.0f;
  NmsBox box{corner[0] + offset,
             corner[1] + offset,
             corner[2] + offset,
             corner[3] + offset,
             0.0f};
  box.area = nms_area(box.x1, box.y1, box.x2, box.y2);
  return box;
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

// Boxes one after the other; one that is kept is compared with all behind it,
// 12 operations and a division each, side by side in vectors.

#include <ATen/Parallel.h>

#include <vector>

#include "kernels/nms_args.h"
#include "kernels/nms_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {

void nms(const NmsArgs& args) {
  const int64_t count = args.count;
  std::vector<float> sides(5 * count);
  float* x1 = sides.data();
  float* y1 = x1 + count;
  float* x2 = y1 + count;
  float* y2 = x2 + count;
  float* areas = y2 + count;
  for (int64_t i = 0; i < count; ++i) {
    const float* box = args.boxes + 4 * i;
    x1[i] = box[0];
    y1[i] = box[1];
    x2[i] = box[2];
    y2[i] = box[3];
    areas[i] = nms_area(box[0], box[1], box[2], box[3]);
    args.kept[i] = 1;
  }
  uint8_t* __restrict kept = args.kept;
  const int64_t* classes = args.classes;
  for (int64_t i = 0; i < count; ++i) {
    if (kept[i] == 0) continue;
    const float left = x1[i], top = y1[i], right = x2[i], bottom = y2[i];
    const float area = areas[i], threshold = args.threshold;
    at::parallel_for(i + 1, count, 16384, [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end; ++j) {
        const bool removes = nms_overlap(nms_side(left, x1[j], right, x2[j]),
                                         nms_side(top, y1[j], bottom, y2[j]),
                                         area,
                                         areas[j],
                                         threshold) &&
                             (classes == nullptr || classes[i] == classes[j]);
        kept[j] &= removes ? 0 : 1;
      }
    });
  }
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

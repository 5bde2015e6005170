#pragma once

#include "kernels/roi_align_levels_args.h"
#include "kernels/roi_align_math.h"
#include "kernels/rounded_math.h"

namespace declip {

/// The axes of box n on its map.
struct RoiAxes {
  RoiAxis rows, columns;
};

DECLIP_HD RoiAxes roi_axes(const RoiLevelsArgs& args,
                           const RoiMapArgs& map,
                           int64_t n) {
  const float* box = args.boxes + 4 * n;
  return {roi_axis(rounded_product(box[1], map.scale_y),
                   rounded_product(box[3], map.scale_y),
                   args.out_height),
          roi_axis(rounded_product(box[0], map.scale_x),
                   rounded_product(box[2], map.scale_x),
                   args.out_width)};
}

}  // namespace declip

#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/level.h"

namespace declip {

/// Output positions in turn that take the same source samples.
struct MaskTapGroup {
  int32_t base;        // of three samples
  int32_t begin, end;  // output positions
};

/// One axis of two bilinear resizes in a row.
struct MaskAxisArgs {
  const MaskTapGroup* groups = nullptr;
  int64_t group_count = 0;
  const int32_t* base = nullptr;   // [out]
  const float* weights = nullptr;  // [3, out]
  int64_t out = 0;
};

/// A mask in its picture.
struct MeasuredMask {
  /// Runs of the whole picture as Rle has them.
  std::vector<uint32_t> counts;
  int64_t area = 0;      // pixels above 0
  int64_t surely = 0;    // above the offset
  int64_t possibly = 0;  // above minus the offset
  /// Smallest and largest column and row inside, in pixels of the crop: x0, y0,
  /// x1, y1, all included; zeros for an empty mask.
  int32_t box[4] = {0, 0, 0, 0};
};

struct MaskRunsArgs {
  const float* low = nullptr;       // [maps, height, width]
  const int64_t* chosen = nullptr;  // [count], which maps
  int64_t count = 0;
  int64_t height = 0, width = 0;  // of a map
  MaskAxisArgs rows, columns;     // outputs: the crop's size
  float offset = 0;
  int64_t picture_height = 0, picture_width = 0;
  int64_t top = 0, left = 0;    // of the crop in the picture
  MeasuredMask* out = nullptr;  // [count]
};

namespace cpu {
DECLIP_CPU_TWIN(void, mask_runs, (const MaskRunsArgs& args), (args))
}  // namespace cpu

}  // namespace declip

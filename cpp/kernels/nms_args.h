#pragma once

#include <cstdint>

#include "kernels/cuda/twin.h"

namespace declip {

/// Boxes in the order in which they are looked at.
struct NmsArgs {
  const float* boxes = nullptr;      // [K, 4] xyxy
  const int64_t* classes = nullptr;  // [K], or null: all are of one
  float shift = 0;                   // a box is moved by class * shift
  bool apart = false;       // boxes of different classes are not compared
  int64_t count = 0;        // K
  int64_t limit = 0;        // stop when so many are kept
  float threshold = 0;      // at least 0; an overlap above it removes
  uint8_t* kept = nullptr;  // [K], 1 or 0
  /// Of the CUDA twin: K + 1 rows of ceil(K / 64) words, the last row zeros.
  uint64_t* overlaps = nullptr;
};

DECLIP_TWINS(nms, (const NmsArgs& args), (args))

}  // namespace declip

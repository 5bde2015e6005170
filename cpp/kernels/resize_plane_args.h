#pragma once

#include <cstdint>

#include "kernels/cuda/twin.h"

namespace declip {

/// bilinear_tap() of every position of the result along one axis.
struct ResizeAxisArgs {
  int64_t in = 0;  // samples
  int64_t out = 0;
  int32_t* first = nullptr;  // [out]; on the CPU only, as are those below
  int32_t* second = nullptr;
  float* weight = nullptr;  // of `second`
};

/// Contiguous rows of planes. Row r of the source is at in + (r - in_begin) *
/// columns.in, row r of the result at out + (r - out_begin) * columns.out.
struct ResizeArgs {
  ResizeAxisArgs rows;
  ResizeAxisArgs columns;
  const float* in = nullptr;
  int64_t in_begin = 0;
  float* out = nullptr;
  int64_t out_begin = 0;  // rows out_begin..out_end are made
  int64_t out_end = 0;
};

DECLIP_TWINS(resize_plane, (const ResizeArgs& args), (args))

namespace cpu {

/// Fills an axis' tables, which resize_plane() needs. Per instruction set, as
/// weights round differently with fused multiply-adds.
DECLIP_CPU_TWIN(void, resize_taps, (const ResizeAxisArgs& axis), (axis))

}  // namespace cpu

}  // namespace declip

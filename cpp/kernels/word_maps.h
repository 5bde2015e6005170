#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/word_maps_args.h"

namespace declip {

/// float32 [out, in] to [P, in / u, 32, u] of `dtype`, P times 32 rows; `in` is
/// rounded up to kWordVector, u is 1 in float32 and 2 in bfloat16.
at::Tensor pack_panels(const at::Tensor& weight, at::ScalarType dtype);

/// Whether this processor and this build have products in bfloat16.
bool has_bfloat16_words();

/// Attention over places, and over words; bfloat16 if that is what panels hold.
void word_space(const WordSpaceArgs& args, bool bfloat16);
void word_class(const WordClassArgs& args, bool bfloat16);

}  // namespace declip

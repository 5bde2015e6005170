#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/call.h"

namespace declip {

/// Pixels of one true class that were predicted as one class.
struct LabelPair {
  int64_t truth = 0;
  int64_t prediction = 0;
  int64_t pixels = 0;
  bool operator==(const LabelPair&) const = default;
};

/// How many pixels every pair of labels has that occurs, ascending by truth and
/// prediction. `prediction` and `truth` are uint8 or uint16 [H, W]. A pixel
/// whose truth is `ignore` counts nowhere; values outside 0..classes-1 count as
/// `classes`. One pass; time and memory do not grow with the number of classes.
/// Throws Error(kInvalidArg) for maps of two sizes.
std::vector<LabelPair> count_labels(const at::Tensor& prediction,
                                    const at::Tensor& truth,
                                    int64_t classes,
                                    int64_t ignore,
                                    const Call& call);

}  // namespace declip

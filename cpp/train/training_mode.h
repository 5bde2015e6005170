#pragma once

#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/ScalarType.h>

#include <string>

namespace declip {

/// Gradients are recorded while one lives, even on the inference thread.
struct TrainingMode {
  const c10::InferenceMode normal_tensors{false};
  const c10::AutoGradMode record{true};
};

/// Of products in training. Throws Error(kInvalidArg) for a name that is
/// neither 'float32' nor 'bfloat16'.
at::ScalarType product_type(const std::string& dtype);

/// Throws Error(kInvalidArg) that names `name` unless low <= value <= high.
void check_range(const char* name, double value, double low, double high);

}  // namespace declip

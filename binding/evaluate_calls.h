#pragma once

#include <napi.h>

namespace declip {

/// countLabels(options): pixels by true and predicted class.
Napi::Value count_label_pairs(const Napi::CallbackInfo& info);
/// averagePrecision(options): COCO's and LVIS's curves and means by class.
Napi::Value average_precision(const Napi::CallbackInfo& info);

}  // namespace declip

#pragma once

#include <napi.h>

namespace declip {

/// trainingRegions(options): the student's input, boxes and crops of a picture.
Napi::Value training_regions(const Napi::CallbackInfo& info);

}  // namespace declip

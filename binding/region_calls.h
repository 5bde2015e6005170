#pragma once

#include <napi.h>

namespace declip {

/// poolBoxes(options): features of boxes from a map of patch features.
Napi::Value pool_box_features(const Napi::CallbackInfo& info);
/// poolMasks(options): features of masks from a map of patch features.
Napi::Value pool_mask_features(const Napi::CallbackInfo& info);
/// maskBoxes(options): the smallest box around each mask.
Napi::Value mask_boxes(const Napi::CallbackInfo& info);

}  // namespace declip

#pragma once

#include <napi.h>

namespace declip {

/// masks(options): shapes of one picture as arrays of pixels.
Napi::Value fill_mask_shapes(const Napi::CallbackInfo& info);
/// labelMasks(options): the values of a label map likewise.
Napi::Value label_masks(const Napi::CallbackInfo& info);
/// rleOf(options): shapes as compressed run lengths with areas and boxes.
Napi::Value measured_rles(const Napi::CallbackInfo& info);

/// objects(options): the connected regions of a label map's classes.
Napi::Value label_objects(const Napi::CallbackInfo& info);

}  // namespace declip

#pragma once

#include <napi.h>

namespace declip {

/// masks(options): shapes of one picture as arrays of pixels.
Napi::Value fill_mask_shapes(const Napi::CallbackInfo& info);
/// labelMasks(options): the values of a label map likewise.
Napi::Value label_masks(const Napi::CallbackInfo& info);
/// paintShapes(options): shapes of one picture as a map of regions.
Napi::Value paint_shapes(const Napi::CallbackInfo& info);
/// paintMasks(options): masks [K, H, W] likewise.
Napi::Value paint_masks(const Napi::CallbackInfo& info);
/// regionValues(options): the regions of a map.
Napi::Value list_regions(const Napi::CallbackInfo& info);
/// regionMasks(options): regions of a map as masks.
Napi::Value region_masks(const Napi::CallbackInfo& info);
/// rleOf(options): shapes as compressed run lengths with areas and boxes.
Napi::Value measured_rles(const Napi::CallbackInfo& info);

/// objects(options): the connected regions of a label map's classes.
Napi::Value label_objects(const Napi::CallbackInfo& info);

}  // namespace declip

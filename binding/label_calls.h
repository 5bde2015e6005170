#pragma once

#include <napi.h>

namespace declip {

/// blendColors(options): the colors of a label map mixed into a picture.
Napi::Value blend_label_colors(const Napi::CallbackInfo& info);
/// labelRuns(options): the masks of the classes of a label map as run lengths.
Napi::Value label_runs(const Napi::CallbackInfo& info);
/// labelStrings(options): the same, compressed.
Napi::Value label_strings(const Napi::CallbackInfo& info);
/// labelPolygons(options): their outlines.
Napi::Value label_polygons(const Napi::CallbackInfo& info);

}  // namespace declip

#pragma once

#include <napi.h>

namespace declip {

/// makeDetectorBatch({ pictures, side }): images and what became of the
/// objects.
Napi::Value make_detector_batch_call(const Napi::CallbackInfo& info);
/// joinMaps({ maps, dtype }): one tensor, rows one below the other.
Napi::Value join_maps_call(const Napi::CallbackInfo& info);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "declip/embeddings.h"
#include "declip/model.h"
#include "declip/pipeline.h"
#include "declip/polygons.h"
#include "declip/regions.h"
#include "declip/rle.h"
#include "declip/safetensors.h"

namespace declip {

// What jobs return to JS values. Handles have theirs beside them.

/// Labels of a picture and how long they took, in milliseconds.
struct TimedSegmentation {
  Segmentation result;
  double encode_ms = 0;
  double pixels_ms = 0;
};

/// The masks of classes as COCO's compressed strings.
struct CompressedMasks {
  std::vector<std::string> counts;
};

/// A typed array with the values.
template <class Array, class T>
Array copied(Napi::Env env, const std::vector<T>& values) {
  auto array = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Value to_js(Napi::Env env, const at::Tensor& tensor);
Napi::Value to_js(Napi::Env env, bool value);
Napi::Value to_js(Napi::Env env, int64_t value);
Napi::Object to_js(Napi::Env env, const CheckpointInfo& info);
Napi::Value to_js(Napi::Env env, const TimedSegmentation& timed);
Napi::Value to_js(Napi::Env env, const Safetensors& file);
/// { names, features }.
Napi::Value to_js(Napi::Env env, const Embeddings& embeddings);
/// { counts, ends }: all runs in one Uint32Array and where each mask's end.
Napi::Value to_js(Napi::Env env, const std::vector<Rle>& masks);
/// A Float64Array of x1, y1, x2, y2, box after box.
Napi::Value to_js(Napi::Env env, const std::vector<PixelBox>& boxes);
/// An array of strings.
Napi::Value to_js(Napi::Env env, const CompressedMasks& masks);
/// Flat arrays, class after class: `corners` Int32Array of x and y, `ringEnds`
/// where each ring's corners end, `polygonEnds` where each polygon's rings end
/// (the outer one comes first), `classEnds` where each class's polygons end.
Napi::Value to_js(Napi::Env env,
                  const std::vector<std::vector<Polygon>>& classes);

}  // namespace declip

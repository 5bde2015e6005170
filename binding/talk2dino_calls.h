#pragma once

#include <napi.h>

namespace declip {

/// readTextProjection(options): the layers of Talk2DINO's file.
Napi::Value read_projection_file(const Napi::CallbackInfo& info);
/// projectWords(options): words in the space of a DINOv2.
Napi::Value project_word_features(const Napi::CallbackInfo& info);

}  // namespace declip

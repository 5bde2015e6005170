#pragma once

#include <napi.h>

namespace declip {

/// preprocess(options): a picture as a model's input.
Napi::Value preprocess_image(const Napi::CallbackInfo& info);
/// resize(options): a picture with another short side.
Napi::Value resize_image(const Napi::CallbackInfo& info);

}  // namespace declip

#pragma once

#include <napi.h>

namespace declip {

/// preprocess(options): a picture as a model's input.
Napi::Value preprocess_image(const Napi::CallbackInfo& info);
/// resize(options): a picture with another short side.
Napi::Value resize_image(const Napi::CallbackInfo& info);
/// detach(arrayBuffer): gives its memory back at once. A runtime that cannot
/// do it leaves it to the garbage collector.
Napi::Value detach_buffer(const Napi::CallbackInfo& info);
/// countWindows(options): the windows that a picture of a size has. At once.
Napi::Value window_count(const Napi::CallbackInfo& info);

}  // namespace declip

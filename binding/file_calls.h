#pragma once

#include <napi.h>

namespace declip {

/// inspect(options): what a checkpoint is.
Napi::Value inspect(const Napi::CallbackInfo& info);
Napi::Value read_file(const Napi::CallbackInfo& info);
Napi::Value write_file(const Napi::CallbackInfo& info);

}  // namespace declip

#pragma once

#include <napi.h>

namespace declip {

/// mixText(options): names' features mixed with others.
Napi::Value mix_text(const Napi::CallbackInfo& info);
/// similarity(options): products of rows.
Napi::Value similarity(const Napi::CallbackInfo& info);

}  // namespace declip

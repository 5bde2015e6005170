#pragma once

#include <napi.h>

namespace declip {

/// makeBatch(options): pictures as a step takes them, on the lane for
/// preparation.
Napi::Value make_batch(const Napi::CallbackInfo& info);

}  // namespace declip

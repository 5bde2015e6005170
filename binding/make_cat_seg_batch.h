#pragma once

#include <napi.h>

namespace declip {

/// makeCatSegBatch({ pictures, side, classes, mean, std }): images and labels.
Napi::Value make_cat_seg_batch_call(const Napi::CallbackInfo& info);

}  // namespace declip

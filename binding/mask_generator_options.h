#pragma once

#include <napi.h>

#include "declip/mask_generator.h"

namespace declip {

/// See NativeMaskGenerator in ts/engine/addon-types.ts.
MaskGeneratorOptions to_mask_generator(const Napi::Object& o);

/// { width, height, counts, values }.
Napi::Value to_js(Napi::Env env, const GeneratedMasks& masks);

}  // namespace declip

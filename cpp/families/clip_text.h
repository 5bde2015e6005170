#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/family.h"
#include "checkpoint/tower_shapes.h"

namespace declip {

/// The text tower of all families (cpp/model/text_tower.h), under CLIP's names.
extern const TextSide kClipText;

/// The blocks of a text tower or of CLIP's image tower.
void check_clip_blocks(ShapeChecker& check,
                       const std::string& prefix,
                       int64_t layers,
                       int64_t width,
                       int64_t mlp_hidden);

}  // namespace declip

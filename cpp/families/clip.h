#pragma once

#include "checkpoint/family.h"

namespace declip::families {

/// OpenAI's and open_clip's ViTs, also as transformers' CLIPModel keeps them.
extern const FamilySpec clip;

}  // namespace declip::families

#pragma once

#include "checkpoint/family.h"

namespace declip::families {

/// EVA02-CLIP's ViTs, in their authors' layout.
extern const FamilySpec eva;

}  // namespace declip::families

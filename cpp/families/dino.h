#pragma once

#include "checkpoint/family.h"

namespace declip::families {

/// DINO's ViTs, as their authors and transformers keep them.
extern const FamilySpec dino;

}  // namespace declip::families

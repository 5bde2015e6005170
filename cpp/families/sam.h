#pragma once

#include "checkpoint/family.h"

namespace declip::families {

/// SAM's image encoders, as their authors, timm and transformers keep them.
extern const FamilySpec sam;

}  // namespace declip::families

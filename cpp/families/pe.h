#pragma once

#include "checkpoint/family.h"

namespace declip::families {

/// Perception Encoder, PE-Core, in its authors' layout and in timm's.
extern const FamilySpec pe;

}  // namespace declip::families

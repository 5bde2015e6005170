#pragma once

#include "checkpoint/family.h"

namespace declip::families {

/// SigLIP and the SigLIP 2 models of one size, as transformers, open_clip and
/// timm keep them.
extern const FamilySpec siglip;

}  // namespace declip::families

#pragma once

#include "checkpoint/family.h"

namespace declip::families {

/// DINOv3's ViTs, as their authors, timm and transformers keep them.
extern const FamilySpec dinov3;

}  // namespace declip::families

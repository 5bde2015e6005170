#pragma once

#include "checkpoint/family.h"

namespace declip::families {

/// DINOv2's ViTs, with and without registers, as their authors, timm and
/// transformers keep them.
extern const FamilySpec dinov2;

}  // namespace declip::families

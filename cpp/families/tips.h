#pragma once

#include "checkpoint/family.h"

namespace declip::families {

/// TIPSv2, Cao et al., arXiv:2604.12012.
extern const FamilySpec tips;

}  // namespace declip::families

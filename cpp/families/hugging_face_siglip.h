#pragma once

#include "checkpoint/family.h"

namespace declip {

/// transformers' SiglipModel and SiglipVisionModel, also as DeCLIP writes them.
extern const Layout kHuggingFaceSiglip;
/// transformers' SiglipVisionModel as version 5 writes it: no `vision_model.`.
extern const Layout kHuggingFaceSiglipVision;

}  // namespace declip

#pragma once

#include "checkpoint/family.h"

namespace declip {

/// transformers' CLIPModel, and its halves with a projection.
extern const Layout kHuggingFaceClip;
/// transformers' CLIPVisionModel as version 5 writes it: no `vision_model.`.
extern const Layout kHuggingFaceVision;

}  // namespace declip

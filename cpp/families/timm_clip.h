#pragma once

#include "checkpoint/family.h"

namespace declip {

/// open_clip's CLIP whose image tower is timm's plain ViT (MobileCLIP2-L-14).
extern const Layout kTimmClip;
extern const Layout kTimmClipTower;

}  // namespace declip

#pragma once

#include <cstdint>
#include <string_view>

#include "checkpoint/family.h"
#include "declip/config.h"

namespace declip {

/// open_clip's SigLIP, whose image tower is timm's.
extern const Layout kOpenClipSiglip;
/// timm's image tower by itself.
extern const Layout kTimmSiglip;

/// What neither tensors nor configurations say of timm's SigLIP towers follows
/// from their names, 'vit_so400m_patch14_siglip_384' for one, with or without a
/// tag behind a dot.
struct TimmSiglip {
  int64_t head_width;
  Activation activation;
};
TimmSiglip timm_siglip(std::string_view name);

}  // namespace declip

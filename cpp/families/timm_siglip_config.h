#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "declip/checkpoint.h"
#include "declip/config.h"

namespace declip {

/// What files beside timm's SigLIP towers say that tensors cannot.
struct TimmSiglipConfig {
  std::string path;        // of the file, for messages
  std::string model;       // 'vit_so400m_patch14_siglip_384'; may be empty
  int64_t image_size = 0;  // 0: it is not said
  std::optional<int64_t> text_heads;
  Activation text_activation = Activation::kGelu;
  std::optional<double> text_layer_norm_eps;
  bool causal = true;
  TextPool pool = TextPool::kEnd;
  std::optional<PixelStats> pixels;
  Preprocess preprocess;
};

/// open_clip_config.json of a folder; nothing if there is none.
/// Throws Error(kWeights) naming file, field and value if a field says that the
/// model computes something else than SigLIP does, or is not known.
std::optional<TimmSiglipConfig> read_open_clip_siglip(
    const std::string& folder);

/// config.json of one of timm's repositories, likewise.
std::optional<TimmSiglipConfig> read_timm_siglip(const std::string& folder);

}  // namespace declip

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "declip/config.h"

namespace declip {

/// An image tower of timm's, and what open_clip puts on it.
struct TimmTower {
  std::string model;  // 'eva02_base_patch16_clip_224'
  std::string pool;   // 'token', 'map', 'avg' or ''
};

/// Whose image tower the tensors are.
enum class ImageTower { kOpenClip, kTimm };

/// What open_clip_config.json says of towers whose sizes the tensors tell.
struct OpenClipConfig {
  std::string path;  // of the file, for messages
  Activation activation = Activation::kGelu;
  std::optional<int64_t> head_width;  // of the image tower
  std::optional<int64_t> text_heads;
  std::optional<double> layer_norm_eps, text_layer_norm_eps;
  std::optional<int64_t> eot_token;  // pooled where it stands first
  std::optional<PixelStats> pixels;
  Preprocess preprocess;
  std::optional<TimmTower> timm;  // none: open_clip's own tower
};

/// Reads open_clip_config.json beside the weights; nothing if there is none.
/// Throws Error(kWeights) naming file, field and value if a field says that the
/// model computes something else than CLIP's towers do, or is not known; or if
/// it tells of another tower than `tower`.
std::optional<OpenClipConfig> read_open_clip_config(
    const std::string& folder, ImageTower tower = ImageTower::kOpenClip);

/// Norms, pooled token, pixel statistics and preprocessing as told.
void apply(const OpenClipConfig& told, ModelConfig& config);

}  // namespace declip

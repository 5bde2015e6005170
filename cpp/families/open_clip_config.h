#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "declip/checkpoint.h"
#include "declip/config.h"

namespace declip {

/// An image tower of timm's, and what open_clip puts on it.
struct TimmTower {
  std::string model;  // 'eva02_base_patch16_clip_224'
  std::string pool;   // 'token', 'map', 'avg' or ''
  std::string proj;   // '' (the tower's own head), 'none', 'linear' or 'mlp'
};

/// Whose image tower the tensors are.
enum class ImageTower { kOpenClip, kTimm };

/// A size that a configuration tells though the tensors tell it as well.
struct ToldSize {
  std::string where;  // file and field, for messages
  int64_t told = 0;
  int64_t (*found)(const ModelConfig& config) = nullptr;
  int64_t tolerance = 0;
};

/// What open_clip_config.json says of towers whose sizes the tensors tell.
struct OpenClipConfig {
  std::string path;               // of the file, for messages
  std::optional<TimmTower> timm;  // none: open_clip's own tower
  // Of open_clip's own image tower.
  Activation activation = Activation::kGelu;
  std::optional<int64_t> head_width;
  std::optional<double> layer_norm_eps;
  bool norm_before_blocks = true;
  bool mean_of_patches = false;
  bool norm_after_mean = false;
  // Of the text tower.
  Activation text_activation = Activation::kGelu;
  std::optional<int64_t> text_heads;
  std::optional<double> text_layer_norm_eps;
  bool causal = true;
  TextPool pool = TextPool::kEnd;
  std::optional<int64_t> eot_token;  // pooled where it stands first
  bool text_projection = true;
  TokenizerKind tokenizer = TokenizerKind::kOpenClip;

  std::vector<ToldSize> sizes;
  std::optional<PixelStats> pixels;
  Preprocess preprocess;
};

/// Reads open_clip_config.json beside the weights; nothing if there is none.
/// Throws Error(kWeights) naming file, field and value if a field says that the
/// model computes something else than this package's towers do, or is not
/// known; or if it tells of another tower than `tower`.
std::optional<OpenClipConfig> read_open_clip_config(
    const std::string& folder, ImageTower tower = ImageTower::kOpenClip);

/// All of the text tower but its heads, norms of both, pixel statistics and
/// preprocessing as told. What else is told of the image tower is its reader's.
/// Throws Error(kWeights) naming file and field if a size is not the tensors'.
void apply(const OpenClipConfig& told, ModelConfig& config);

}  // namespace declip

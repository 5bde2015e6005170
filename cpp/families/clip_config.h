#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/family.h"
#include "declip/config.h"

namespace declip {

// What the configurations of CLIP's and EVA02's towers are read from: the
// shapes of their tensors, then what the caller overrides. All of it throws
// Error(kWeights) naming file, key, expected and found, or Error(kInvalidArg)
// for an override that does not fit.

/// [D, 3, p, p] -> width and patch.
void read_patch_embedding(const TowerTensors& weights,
                          const std::string& name,
                          VisionConfig& v);

/// Grid and picture size of a table with `rows` rows, one of them that of the
/// class token if there is one.
void read_grid(const TowerTensors& weights,
               const std::string& name,
               int64_t rows,
               VisionConfig& v);

/// CLIP's image tower.
VisionConfig read_clip_vision(const TowerTensors& weights);

bool has_text_tower(const TowerTensors& weights);

/// The text tower, if the file has one; with a projection, unless its
/// configuration says that it has none.
std::optional<TextConfig> read_text_tower(const TowerTensors& weights,
                                          bool projection = true);

/// What a configuration beside the weights, or their container, says of towers.
struct ToldOfTowers {
  std::optional<int64_t> head_width;  // of the image tower
  std::optional<int64_t> text_heads;
  bool activation = false;  // it is the one that the config holds
};

/// Heads, where none are set: by what is told, or by channels a head. The
/// caller's overrides come first. `patches` is the tensor that tells the width.
void set_heads(const CheckpointSource& source,
               const std::string& patches,
               int64_t head_width,
               const ToldOfTowers& told,
               ModelConfig& config);

/// Completes CLIP's config, in which both towers have their sizes.
void complete_clip_config(const CheckpointSource& source,
                          const ToldOfTowers& told,
                          Checkpoint& out);

/// The caller's layer_norm_eps.
std::optional<double> overridden_epsilon(const ConfigOverrides& overrides);

/// Both towers must end in one space.
void check_one_space(const TowerTensors& weights, const ModelConfig& config);
/// The token table must be one for CLIP's vocabulary.
void check_clip_vocabulary(const TowerTensors& weights,
                           const ModelConfig& config);

/// Whether a tokenizer has CLIP's vocabulary.
inline bool is_clips(TokenizerKind kind) {
  return kind == TokenizerKind::kOpenAi || kind == TokenizerKind::kOpenClip;
}

/// Said of a folder of transformers that lacks the file.
inline constexpr const char* kNoConfig =
    "no config.json beside the weights: sizes read from the tensors, the usual "
    "number of channels a head";

inline constexpr int64_t kUsualHeadWidth = 64;

}  // namespace declip

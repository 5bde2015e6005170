#pragma once

#include <cstdint>
#include <optional>

#include "checkpoint/family.h"
#include "declip/config.h"

namespace declip {

// What the configurations of SigLIP's towers are read from. All of it throws
// Error(kWeights) naming file, key, expected and found, or Error(kInvalidArg)
// for an override that does not fit.

inline constexpr double kSiglipEpsilon = 1e-6;

/// Pictures are squashed to the tower's size, and pixels are -1..1.
inline constexpr PixelStats kSiglipPixels{{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}};
Preprocess siglip_preprocess(bool bicubic);

/// NaFlex's: the picture in its own shape, as large as 256 patches allow.
Preprocess naflex_preprocess(int64_t patch);

/// The image tower as its tensors tell it, without heads; `activation` is
/// GELU by tanh.
VisionConfig read_siglip_vision(const TowerTensors& weights);

/// The text tower, if the file has one: bidirectional, padding takes part, and
/// the last position is pooled. Without a projection, its width is the
/// embedding's.
std::optional<TextConfig> read_siglip_text(const TowerTensors& weights);

/// Channels of a head, where neither a configuration nor a name says: 72 in
/// so400m, 96 in g-opt, else 64.
int64_t siglip_head_width(int64_t width);

/// What SigLIP's tokenizer pads texts with, the end token, and what SigLIP 2's
/// does.
inline constexpr int64_t siglip_padding(TokenizerKind kind) {
  return kind == TokenizerKind::kSiglip2 ? 0 : 1;
}

/// Overrides, heads, the pooling head, and whether both towers end in one
/// space. `activation_told`: the config holds what a configuration says.
void complete_siglip_config(const CheckpointSource& source,
                            std::optional<int64_t> head_width,
                            std::optional<int64_t> text_heads,
                            bool activation_told,
                            Checkpoint& out);

}  // namespace declip

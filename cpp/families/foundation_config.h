#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "checkpoint/family.h"
#include "checkpoint/json_fields.h"
#include "checkpoint/tower_shapes.h"
#include "declip/config.h"

namespace declip {

// What the vision foundation models DINO, DINOv2 and SAM have in common: a ViT
// whose sizes are read from its tensors. All of it throws Error(kWeights), or
// Error(kInvalidArg) for an override that does not fit.

/// In front of every key of the encoder: nothing, or what whole models have.
inline constexpr std::array<std::string_view, 7> kFoundationPrefixes{
    "",
    "image_encoder.",
    "vision_encoder.",
    "vit.",
    "dinov2.",
    "dinov2_with_registers.",
    "backbone."};

/// config.json of a folder of transformers, if `source` has one. Missing fields
/// have the defaults of ViTConfig, Dinov2Config and SamVisionConfig.
struct FoundationFields {
  bool transformers = false;  // the folder is one of transformers
  std::optional<JsonFile> file;
  std::optional<int64_t> heads;
  double layer_norm_eps = 1e-6;

  /// The fields of the encoder, which SAM's file has one level down.
  Fields encoder() const;
};

FoundationFields read_foundation_fields(const CheckpointSource& source,
                                        double usual_eps,
                                        Checkpoint& out);

/// Blocks, patches and the MLP of block 0: fc1 [h, C] or, if `may_be_gated`,
/// [2 h, C]; fc2 [C, h].
void read_foundation_blocks(const TowerTensors& weights,
                            bool may_be_gated,
                            ModelConfig& config);

/// Heads: the caller's, or what is told, or heads of `usual` channels.
void set_foundation_heads(const CheckpointSource& source,
                          const FoundationFields& told,
                          int64_t usual,
                          VisionConfig& v);

/// g for g * g cells, 0 if `cells` is no square.
int64_t square_side(int64_t cells);

/// Grid and picture size of a table [1, 1 + g * g, C], heads of 64 channels
/// unless `told` or the caller says otherwise, norms and pixels: DINO, DINOv2.
void complete_dino_config(const CheckpointSource& source,
                          const FoundationFields& told,
                          Checkpoint& out);

/// Norms and pixel statistics: the caller's, or what is told, or ImageNet's.
void complete_foundation_config(const CheckpointSource& source,
                                const FoundationFields& told,
                                const std::optional<PixelStats>& pixels,
                                Checkpoint& out);

/// What the blocks of all three have.
void check_foundation_block(ShapeChecker& check,
                            const std::string& block,
                            const ModelConfig& config);

/// What DINO and DINOv2 have but for the scales of the latter's blocks.
void check_dino_shapes(ShapeChecker& check, const ModelConfig& config);

}  // namespace declip

#pragma once

#include <array>

#include "checkpoint/key_map.h"

namespace declip {

// Parts of the names in files of ViTs that DINO and DINOv2 share. `mask_token`
// serves training alone.

/// facebookresearch/dino and dinov2, vision_transformer.py.
inline constexpr std::array kVitMask{
    KeyRule{"mask_token", "", Transform::kDrop}};

/// transformers models/vit and models/dinov2; a ViTModel may hold a pooler that
/// its pretraining never saw.
inline constexpr std::array kTransformersEnds{
    KeyRule{"embeddings.mask_token", "", Transform::kDrop},
    KeyRule{"pooler.*", "", Transform::kDrop},
    KeyRule{"embeddings.cls_token", "visual.cls_token"},
    KeyRule{"embeddings.register_tokens", "visual.register_tokens"},
    KeyRule{"embeddings.position_embeddings", "visual.pos_embed"},
    KeyRule{"embeddings.patch_embeddings.projection.*",
            "visual.patch_embed.proj.*"},
    KeyRule{"layernorm.*", "visual.norm.*"},
};

/// Attention in version 4 of transformers.
inline constexpr std::array kTransformersAttention{
    KeyRule{"encoder.layer.#.attention.attention.query.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kQuery},
    KeyRule{"encoder.layer.#.attention.attention.key.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kKey},
    KeyRule{"encoder.layer.#.attention.attention.value.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kValue},
    KeyRule{"encoder.layer.#.attention.output.dense.*",
            "visual.blocks.#.attn.proj.*"},
};

}  // namespace declip

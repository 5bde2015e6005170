#pragma once

#include <array>

#include "checkpoint/key_map.h"

namespace declip {

// Names that transformers' CLIP and SigLIP have in common (models/clip and
// models/siglip), for towers whose internal names are CLIP's.

inline constexpr std::array kTransformersPositionIds{
    KeyRule{"*embeddings.position_ids", "", Transform::kDrop}};

/// Positions, blocks and the norm behind them.
inline constexpr std::array kTransformersImageTower{
    KeyRule{"vision_model.embeddings.position_embedding.weight",
            "visual.positional_embedding"},
    KeyRule{"vision_model.encoder.layers.#.self_attn.q_proj.*",
            "visual.transformer.resblocks.#.attn.in_proj_*",
            Transform::kQuery},
    KeyRule{"vision_model.encoder.layers.#.self_attn.k_proj.*",
            "visual.transformer.resblocks.#.attn.in_proj_*",
            Transform::kKey},
    KeyRule{"vision_model.encoder.layers.#.self_attn.v_proj.*",
            "visual.transformer.resblocks.#.attn.in_proj_*",
            Transform::kValue},
    KeyRule{"vision_model.encoder.layers.#.self_attn.out_proj.*",
            "visual.transformer.resblocks.#.attn.out_proj.*"},
    KeyRule{"vision_model.encoder.layers.#.layer_norm1.*",
            "visual.transformer.resblocks.#.ln_1.*"},
    KeyRule{"vision_model.encoder.layers.#.layer_norm2.*",
            "visual.transformer.resblocks.#.ln_2.*"},
    KeyRule{"vision_model.encoder.layers.#.mlp.fc1.*",
            "visual.transformer.resblocks.#.mlp.c_fc.*"},
    KeyRule{"vision_model.encoder.layers.#.mlp.fc2.*",
            "visual.transformer.resblocks.#.mlp.c_proj.*"},
    KeyRule{"vision_model.post_layernorm.*", "visual.ln_post.*"},
};

inline constexpr std::array kTransformersTextTower{
    KeyRule{"text_model.embeddings.token_embedding.weight",
            "text.token_embedding.weight"},
    KeyRule{"text_model.embeddings.position_embedding.weight",
            "text.positional_embedding"},
    KeyRule{"text_model.encoder.layers.#.self_attn.q_proj.*",
            "text.transformer.resblocks.#.attn.in_proj_*",
            Transform::kQuery},
    KeyRule{"text_model.encoder.layers.#.self_attn.k_proj.*",
            "text.transformer.resblocks.#.attn.in_proj_*",
            Transform::kKey},
    KeyRule{"text_model.encoder.layers.#.self_attn.v_proj.*",
            "text.transformer.resblocks.#.attn.in_proj_*",
            Transform::kValue},
    KeyRule{"text_model.encoder.layers.#.self_attn.out_proj.*",
            "text.transformer.resblocks.#.attn.out_proj.*"},
    KeyRule{"text_model.encoder.layers.#.layer_norm1.*",
            "text.transformer.resblocks.#.ln_1.*"},
    KeyRule{"text_model.encoder.layers.#.layer_norm2.*",
            "text.transformer.resblocks.#.ln_2.*"},
    KeyRule{"text_model.encoder.layers.#.mlp.fc1.*",
            "text.transformer.resblocks.#.mlp.c_fc.*"},
    KeyRule{"text_model.encoder.layers.#.mlp.fc2.*",
            "text.transformer.resblocks.#.mlp.c_proj.*"},
    KeyRule{"text_model.final_layer_norm.*", "text.ln_final.*"},
};

}  // namespace declip

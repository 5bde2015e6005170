#pragma once

#include <array>
#include <string_view>

#include "checkpoint/key_map.h"

namespace declip {

// Parts of the names in timm's files of plain ViTs (vision_transformer.py,
// eva.py), for towers whose internal names are CLIP's. open_clip has them
// behind kTrunk, timm's own repositories as they are.

inline constexpr std::string_view kTrunk = "visual.trunk.";

inline constexpr std::array kTimmBlocks{
    KeyRule{"blocks.#.norm1.*", "visual.transformer.resblocks.#.ln_1.*"},
    KeyRule{"blocks.#.norm2.*", "visual.transformer.resblocks.#.ln_2.*"},
    KeyRule{"blocks.#.attn.qkv.weight",
            "visual.transformer.resblocks.#.attn.in_proj_weight"},
    KeyRule{"blocks.#.attn.qkv.bias",
            "visual.transformer.resblocks.#.attn.in_proj_bias"},
    KeyRule{"blocks.#.attn.proj.*",
            "visual.transformer.resblocks.#.attn.out_proj.*"},
    KeyRule{"blocks.#.mlp.fc1.*", "visual.transformer.resblocks.#.mlp.c_fc.*"},
    KeyRule{"blocks.#.mlp.fc2.*",
            "visual.transformer.resblocks.#.mlp.c_proj.*"},
    KeyRule{"blocks.#.ls1.gamma", "visual.transformer.resblocks.#.ls_1.gamma"},
    KeyRule{"blocks.#.ls2.gamma", "visual.transformer.resblocks.#.ls_2.gamma"},
};

inline constexpr std::array kTimmPoolingHead{
    KeyRule{"attn_pool.latent", "visual.attn_pool.probe"},
    KeyRule{"attn_pool.q.weight",
            "visual.attn_pool.attn.in_proj_weight",
            Transform::kQueryPart},
    KeyRule{"attn_pool.kv.weight",
            "visual.attn_pool.attn.in_proj_weight",
            Transform::kKeysAndValues},
    KeyRule{"attn_pool.q.bias",
            "visual.attn_pool.attn.in_proj_bias",
            Transform::kQueryPart},
    KeyRule{"attn_pool.kv.bias",
            "visual.attn_pool.attn.in_proj_bias",
            Transform::kKeysAndValues},
    KeyRule{"attn_pool.proj.*", "visual.attn_pool.attn.out_proj.*"},
    KeyRule{"attn_pool.norm.*", "visual.attn_pool.layernorm.*"},
    KeyRule{"attn_pool.mlp.fc1.*", "visual.attn_pool.mlp.c_fc.*"},
    KeyRule{"attn_pool.mlp.fc2.*", "visual.attn_pool.mlp.c_proj.*"},
};

/// The text tower beside an image tower of timm's, in open_clip's files.
inline constexpr std::array kTextBesideTrunk{
    KeyRule{"text.attn_mask", "", Transform::kDrop},
    KeyRule{"text.*", "text.*"},
    KeyRule{"logit_scale", "logit_scale"},
    KeyRule{"logit_bias", "logit_bias"},
};

}  // namespace declip

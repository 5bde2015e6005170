#pragma once

#include <array>
#include <string_view>

#include "checkpoint/key_map.h"

namespace declip {

// Names in files of OpenAI, open_clip and EVA-CLIP. The causal mask, rotary
// tables (recomputed in float32) and, in OpenAI's archives, sizes (read from
// the shapes instead) are stored by some versions.

/// The text tower's keys at the top level.
inline constexpr std::array kTopLevelNames{
    KeyRule{"*freqs_cos", "", Transform::kDrop},
    KeyRule{"*freqs_sin", "", Transform::kDrop},
    KeyRule{"attn_mask", "", Transform::kDrop},
    KeyRule{"input_resolution", "", Transform::kDrop},
    KeyRule{"context_length", "", Transform::kDrop},
    KeyRule{"vocab_size", "", Transform::kDrop},
    KeyRule{"visual.*", "visual.*"},
    KeyRule{"logit_scale", "logit_scale"},
    KeyRule{"logit_bias", "logit_bias"},
    KeyRule{"token_embedding.*", "text.token_embedding.*"},
    KeyRule{"positional_embedding", "text.positional_embedding"},
    KeyRule{"transformer.*", "text.transformer.*"},
    KeyRule{"ln_final.*", "text.ln_final.*"},
    KeyRule{"text_projection", "text.text_projection"},
    KeyRule{"text_projection.weight",
            "text.text_projection",
            Transform::kTranspose},
    KeyRule{"text_projection.bias", "text.text_projection_bias"},
};

/// The text tower's keys under `text.` ("custom text").
inline constexpr std::array kCustomTextNames{
    KeyRule{"*freqs_cos", "", Transform::kDrop},
    KeyRule{"*freqs_sin", "", Transform::kDrop},
    KeyRule{"text.attn_mask", "", Transform::kDrop},
    KeyRule{"text.transformer.embeddings.position_ids", "", Transform::kDrop},
    KeyRule{"visual.*", "visual.*"},
    KeyRule{"text.text_projection", "text.text_projection"},
    KeyRule{"text.text_projection.weight",
            "text.text_projection",
            Transform::kTranspose},
    KeyRule{"text.text_projection.bias", "text.text_projection_bias"},
    KeyRule{"text.*", "text.*"},
    KeyRule{"logit_scale", "logit_scale"},
    KeyRule{"logit_bias", "logit_bias"},
};

/// An image tower without the `visual.` prefix.
inline constexpr std::array kBareTowerNames{
    KeyRule{"*freqs_cos", "", Transform::kDrop},
    KeyRule{"*freqs_sin", "", Transform::kDrop},
    KeyRule{"*", "visual.*"},
};

/// The image tower inside an F-ViT detector of MMDetection. Files of this
/// package may have a text tower beside it, as kCustomTextNames has it.
inline constexpr std::array kDetectorNames{
    KeyRule{"*freqs_cos", "", Transform::kDrop},
    KeyRule{"*freqs_sin", "", Transform::kDrop},
    KeyRule{"text.attn_mask", "", Transform::kDrop},
    KeyRule{"backbone.visual.*", "visual.*"},
    KeyRule{"text.text_projection", "text.text_projection"},
    KeyRule{"text.text_projection.weight",
            "text.text_projection",
            Transform::kTranspose},
    KeyRule{"text.text_projection.bias", "text.text_projection_bias"},
    KeyRule{"text.*", "text.*"},
    KeyRule{"logit_scale", "logit_scale"},
    KeyRule{"logit_bias", "logit_bias"},
};

/// Both towers inside a CAT-Seg, whose plain ones keep the rows of queries,
/// keys and values apart.
inline constexpr std::string_view kInCatSeg =
    "sem_seg_head.predictor.clip_model.";
inline constexpr std::array kApartNames{
    KeyRule{"visual.transformer.resblocks.#.attn.q_proj_weight",
            "visual.transformer.resblocks.#.attn.in_proj_weight",
            Transform::kQuery},
    KeyRule{"visual.transformer.resblocks.#.attn.k_proj_weight",
            "visual.transformer.resblocks.#.attn.in_proj_weight",
            Transform::kKey},
    KeyRule{"visual.transformer.resblocks.#.attn.v_proj_weight",
            "visual.transformer.resblocks.#.attn.in_proj_weight",
            Transform::kValue},
    KeyRule{"transformer.resblocks.#.attn.q_proj_weight",
            "text.transformer.resblocks.#.attn.in_proj_weight",
            Transform::kQuery},
    KeyRule{"transformer.resblocks.#.attn.k_proj_weight",
            "text.transformer.resblocks.#.attn.in_proj_weight",
            Transform::kKey},
    KeyRule{"transformer.resblocks.#.attn.v_proj_weight",
            "text.transformer.resblocks.#.attn.in_proj_weight",
            Transform::kValue},
};
inline constexpr auto kCatSegNames =
    joined(Prefixed<kApartNames, kInCatSeg>::kNames,
           Prefixed<kTopLevelNames, kInCatSeg>::kNames);
inline constexpr auto kCatSegEvaNames =
    Prefixed<kCustomTextNames, kInCatSeg>::kNames;

}  // namespace declip

#include "io/key_map.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace declip {
namespace {

bool match_from(std::string_view pattern,
                std::string_view key,
                std::vector<std::string>& parts) {
  const size_t literal = pattern.find_first_of("#*");
  if (literal == std::string_view::npos) return pattern == key;
  if (key.substr(0, literal) != pattern.substr(0, literal)) return false;
  const bool digits = pattern[literal] == '#';
  pattern.remove_prefix(literal + 1);
  key.remove_prefix(literal);

  const bool last = pattern.find_first_of("#*") == std::string_view::npos;
  size_t shortest = 0, longest = key.size();
  if (digits) {  // a number is taken whole
    shortest = std::min(key.find_first_not_of("0123456789"), key.size());
    longest = shortest;
    if (longest == 0) return false;
  } else if (last) {  // what follows is the end of the key
    if (!key.ends_with(pattern)) return false;
    shortest = longest = key.size() - pattern.size();
  }
  for (size_t length = shortest; length <= longest; ++length) {
    parts.emplace_back(key.substr(0, length));
    if (match_from(pattern, key.substr(length), parts)) return true;
    parts.pop_back();
  }
  return false;
}

// The causal mask, rotary tables (recomputed in float32) and, in OpenAI's
// archives, sizes (read from the shapes instead) are stored by some versions.
constexpr std::array kOpenAi{
    KeyRule{"*freqs_cos", "", Transform::kDrop},
    KeyRule{"*freqs_sin", "", Transform::kDrop},
    KeyRule{"attn_mask", "", Transform::kDrop},
    KeyRule{"input_resolution", "", Transform::kDrop},
    KeyRule{"context_length", "", Transform::kDrop},
    KeyRule{"vocab_size", "", Transform::kDrop},
    KeyRule{"visual.*", "visual.*"},
    KeyRule{"logit_scale", "logit_scale"},
    KeyRule{"token_embedding.*", "text.token_embedding.*"},
    KeyRule{"positional_embedding", "text.positional_embedding"},
    KeyRule{"transformer.*", "text.transformer.*"},
    KeyRule{"ln_final.*", "text.ln_final.*"},
    KeyRule{"text_projection", "text.text_projection"},
};

constexpr std::array kCustomText{
    KeyRule{"*freqs_cos", "", Transform::kDrop},
    KeyRule{"*freqs_sin", "", Transform::kDrop},
    KeyRule{"text.attn_mask", "", Transform::kDrop},
    KeyRule{"text.transformer.embeddings.position_ids", "", Transform::kDrop},
    KeyRule{"visual.*", "visual.*"},
    KeyRule{"text.*", "text.*"},
    KeyRule{"logit_scale", "logit_scale"},
};

// transformers models/clip/modeling_clip.py; "pre_layrnorm" is its spelling.
constexpr std::array kHuggingFace{
    KeyRule{"*.embeddings.position_ids", "", Transform::kDrop},
    KeyRule{"vision_model.embeddings.class_embedding",
            "visual.class_embedding"},
    KeyRule{"vision_model.embeddings.patch_embedding.weight",
            "visual.conv1.weight"},
    KeyRule{"vision_model.embeddings.position_embedding.weight",
            "visual.positional_embedding"},
    KeyRule{"vision_model.pre_layrnorm.*", "visual.ln_pre.*"},
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
    KeyRule{"visual_projection.weight", "visual.proj", Transform::kTranspose},
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
    KeyRule{"text_projection.weight",
            "text.text_projection",
            Transform::kTranspose},
    KeyRule{"logit_scale", "logit_scale"},
    // What is left of the towers is unknown there and must not pass silently.
    KeyRule{"vision_model.*", "visual.*"},
    KeyRule{"text_model.*", "text.*"},
};

constexpr std::array kBareTower{
    KeyRule{"*freqs_cos", "", Transform::kDrop},
    KeyRule{"*freqs_sin", "", Transform::kDrop},
    KeyRule{"*", "visual.*"},
};

constexpr std::array kDetector{
    KeyRule{"*freqs_cos", "", Transform::kDrop},
    KeyRule{"*freqs_sin", "", Transform::kDrop},
    KeyRule{"backbone.visual.*", "visual.*"},
};

}  // namespace

std::optional<std::vector<std::string>> match_key(std::string_view pattern,
                                                  std::string_view key) {
  std::vector<std::string> parts;
  if (!match_from(pattern, key, parts)) return std::nullopt;
  return parts;
}

std::string fill_key(std::string_view pattern,
                     std::span<const std::string> parts) {
  std::string out;
  size_t next = 0;
  for (const char c : pattern) {
    if (c == '#' || c == '*') {
      out += parts[next++];
    } else {
      out += c;
    }
  }
  return out;
}

KeyMap openai_key_map() { return kOpenAi; }
KeyMap custom_text_key_map() { return kCustomText; }
KeyMap hugging_face_key_map() { return kHuggingFace; }
KeyMap bare_tower_key_map() { return kBareTower; }
KeyMap detector_key_map() { return kDetector; }

std::string source_key(KeyMap map, std::string_view internal) {
  for (const KeyRule& rule : map) {
    if (rule.transform == Transform::kDrop) continue;
    if (const auto parts = match_key(rule.internal, internal)) {
      return fill_key(rule.source, *parts);
    }
  }
  return std::string(internal);
}

}  // namespace declip

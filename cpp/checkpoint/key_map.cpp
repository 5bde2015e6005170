#include "checkpoint/key_map.h"

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

template <size_t... Sizes>
constexpr auto joined(const std::array<KeyRule, Sizes>&... parts) {
  std::array<KeyRule, (Sizes + ...)> all{};
  size_t next = 0;
  const auto append = [&](const auto& part) {
    for (const KeyRule& rule : part) all[next++] = rule;
  };
  (append(parts), ...);
  return all;
}

// What no rule before it takes is unknown in the tower and must not pass.
constexpr std::array kRest{KeyRule{"*", "visual.*"}};

// facebookresearch/dino and dinov2, vision_transformer.py. `mask_token` serves
// training alone.
constexpr std::array kVitMask{KeyRule{"mask_token", "", Transform::kDrop}};
constexpr std::array kVitGated{
    KeyRule{"blocks.#.mlp.w12.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"blocks.#.mlp.w3.*", "visual.blocks.#.mlp.fc2.*"},
};
constexpr std::array kTimmRegisters{
    KeyRule{"reg_token", "visual.register_tokens"}};

// transformers models/vit and models/dinov2; a ViTModel may hold a pooler that
// its pretraining never saw.
constexpr std::array kTransformersEnds{
    KeyRule{"embeddings.mask_token", "", Transform::kDrop},
    KeyRule{"pooler.*", "", Transform::kDrop},
    KeyRule{"embeddings.cls_token", "visual.cls_token"},
    KeyRule{"embeddings.register_tokens", "visual.register_tokens"},
    KeyRule{"embeddings.position_embeddings", "visual.pos_embed"},
    KeyRule{"embeddings.patch_embeddings.projection.*",
            "visual.patch_embed.proj.*"},
    KeyRule{"layernorm.*", "visual.norm.*"},
};
constexpr std::array kTransformersAttention{
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
constexpr std::array kTransformersVit{
    KeyRule{"encoder.layer.#.layernorm_before.*", "visual.blocks.#.norm1.*"},
    KeyRule{"encoder.layer.#.layernorm_after.*", "visual.blocks.#.norm2.*"},
    KeyRule{"encoder.layer.#.intermediate.dense.*",
            "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"encoder.layer.#.output.dense.*", "visual.blocks.#.mlp.fc2.*"},
};
constexpr std::array kTransformersVit5{
    KeyRule{"layers.#.attention.q_proj.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kQuery},
    KeyRule{"layers.#.attention.k_proj.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kKey},
    KeyRule{"layers.#.attention.v_proj.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kValue},
    KeyRule{"layers.#.attention.o_proj.*", "visual.blocks.#.attn.proj.*"},
    KeyRule{"layers.#.layernorm_before.*", "visual.blocks.#.norm1.*"},
    KeyRule{"layers.#.layernorm_after.*", "visual.blocks.#.norm2.*"},
    KeyRule{"layers.#.mlp.fc1.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"layers.#.mlp.fc2.*", "visual.blocks.#.mlp.fc2.*"},
};
constexpr std::array kTransformersDino2{
    KeyRule{"encoder.layer.#.norm1.*", "visual.blocks.#.norm1.*"},
    KeyRule{"encoder.layer.#.norm2.*", "visual.blocks.#.norm2.*"},
    KeyRule{"encoder.layer.#.layer_scale1.lambda1",
            "visual.blocks.#.ls1.gamma"},
    KeyRule{"encoder.layer.#.layer_scale2.lambda1",
            "visual.blocks.#.ls2.gamma"},
};
constexpr std::array kTransformersDino2Attention5{
    KeyRule{"encoder.layer.#.attention.q_proj.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kQuery},
    KeyRule{"encoder.layer.#.attention.k_proj.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kKey},
    KeyRule{"encoder.layer.#.attention.v_proj.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kValue},
    KeyRule{"encoder.layer.#.attention.o_proj.*",
            "visual.blocks.#.attn.proj.*"},
};
constexpr std::array kTransformersMlp{
    KeyRule{"encoder.layer.#.mlp.fc1.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"encoder.layer.#.mlp.fc2.*", "visual.blocks.#.mlp.fc2.*"},
};
constexpr std::array kTransformersGated{
    KeyRule{"encoder.layer.#.mlp.weights_in.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"encoder.layer.#.mlp.weights_out.*", "visual.blocks.#.mlp.fc2.*"},
};
constexpr std::array kTransformersGated5{
    KeyRule{"encoder.layer.#.mlp.gate_proj.*",
            "visual.blocks.#.mlp.fc1.*",
            Transform::kGate},
    KeyRule{"encoder.layer.#.mlp.up_proj.*",
            "visual.blocks.#.mlp.fc1.*",
            Transform::kUp},
    KeyRule{"encoder.layer.#.mlp.down_proj.*", "visual.blocks.#.mlp.fc2.*"},
};

// facebookresearch/segment-anything, modeling/image_encoder.py: the neck is a
// numbered sequence there.
constexpr std::array kSamNeck{
    KeyRule{"neck.0.weight", "visual.neck.conv1.weight"},
    KeyRule{"neck.1.*", "visual.neck.norm1.*"},
    KeyRule{"neck.2.weight", "visual.neck.conv2.weight"},
    KeyRule{"neck.3.*", "visual.neck.norm2.*"},
};
constexpr std::array kSamMlp{
    KeyRule{"blocks.#.mlp.lin1.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"blocks.#.mlp.lin2.*", "visual.blocks.#.mlp.fc2.*"},
};
constexpr std::array kTransformersSam{
    KeyRule{"patch_embed.projection.*", "visual.patch_embed.proj.*"},
    KeyRule{"layers.#.layer_norm1.*", "visual.blocks.#.norm1.*"},
    KeyRule{"layers.#.layer_norm2.*", "visual.blocks.#.norm2.*"},
    KeyRule{"layers.#.mlp.lin1.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"layers.#.mlp.lin2.*", "visual.blocks.#.mlp.fc2.*"},
    KeyRule{"layers.#.attn.*", "visual.blocks.#.attn.*"},
    KeyRule{"neck.conv1.weight", "visual.neck.conv1.weight"},
    KeyRule{"neck.layer_norm1.*", "visual.neck.norm1.*"},
    KeyRule{"neck.conv2.weight", "visual.neck.conv2.weight"},
    KeyRule{"neck.layer_norm2.*", "visual.neck.norm2.*"},
};

constexpr auto kVit = joined(kVitMask, kRest);
constexpr auto kGatedVit = joined(kVitMask, kVitGated, kRest);
constexpr auto kTimmRegistersVit = joined(kVitMask, kTimmRegisters, kRest);
constexpr auto kVitModel =
    joined(kTransformersEnds, kTransformersAttention, kTransformersVit, kRest);
constexpr auto kVitModel5 = joined(kTransformersEnds, kTransformersVit5, kRest);
constexpr auto kDino2Model = joined(kTransformersEnds,
                                    kTransformersAttention,
                                    kTransformersDino2,
                                    kTransformersMlp,
                                    kRest);
constexpr auto kGatedDino2Model = joined(kTransformersEnds,
                                         kTransformersAttention,
                                         kTransformersDino2,
                                         kTransformersGated,
                                         kRest);
constexpr auto kDino2Model5 = joined(kTransformersEnds,
                                     kTransformersDino2Attention5,
                                     kTransformersDino2,
                                     kTransformersMlp,
                                     kRest);
constexpr auto kGatedDino2Model5 = joined(kTransformersEnds,
                                          kTransformersDino2Attention5,
                                          kTransformersDino2,
                                          kTransformersGated5,
                                          kRest);
constexpr auto kSam = joined(kSamNeck, kSamMlp, kRest);
constexpr auto kTimmSam = joined(kSamNeck, kRest);
constexpr auto kSamModel = joined(kTransformersSam, kRest);

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

KeyMap vit_key_map(bool gated) {
  if (gated) return kGatedVit;
  return kVit;
}
KeyMap timm_registers_key_map() { return kTimmRegistersVit; }
KeyMap transformers_vit_key_map(bool version5) {
  if (version5) return kVitModel5;
  return kVitModel;
}
KeyMap transformers_dinov2_key_map(bool version5, bool gated) {
  if (version5) return gated ? KeyMap(kGatedDino2Model5) : KeyMap(kDino2Model5);
  return gated ? KeyMap(kGatedDino2Model) : KeyMap(kDino2Model);
}
KeyMap sam_key_map() { return kSam; }
KeyMap timm_sam_key_map() { return kTimmSam; }
KeyMap transformers_sam_key_map() { return kSamModel; }

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

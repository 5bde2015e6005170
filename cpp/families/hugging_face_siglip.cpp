#include "families/hugging_face_siglip.h"

#include <array>
#include <filesystem>
#include <string>

#include "checkpoint/json_fields.h"
#include "checkpoint/processor_config.h"
#include "checkpoint/transformers_fields.h"
#include "families/clip_config.h"
#include "families/foundation_config.h"
#include "families/hugging_face_names.h"
#include "families/siglip_config.h"
#include "files/mapped_file.h"

namespace declip::hugging_face_siglip {
namespace {

// --- names: transformers models/siglip/modeling_siglip.py ---

constexpr std::array kVisionEnds{
    KeyRule{"vision_model.embeddings.patch_embedding.*", "visual.conv1.*"},
    KeyRule{"vision_model.head.probe", "visual.attn_pool.probe"},
    KeyRule{"vision_model.head.attention.*", "visual.attn_pool.attn.*"},
    KeyRule{"vision_model.head.layernorm.*", "visual.attn_pool.layernorm.*"},
    KeyRule{"vision_model.head.mlp.fc1.*", "visual.attn_pool.mlp.c_fc.*"},
    KeyRule{"vision_model.head.mlp.fc2.*", "visual.attn_pool.mlp.c_proj.*"},
};
constexpr auto kVision = joined(kTransformersImageTower, kVisionEnds);

constexpr std::array kTextEnds{
    KeyRule{"text_model.head.weight",
            "text.text_projection",
            Transform::kTranspose},
    KeyRule{"text_model.head.bias", "text.text_projection_bias"},
    KeyRule{"logit_scale", "logit_scale"},
    KeyRule{"logit_bias", "logit_bias"},
};
constexpr auto kText = joined(kTransformersTextTower, kTextEnds);

// What is left of the towers is unknown there and must not pass silently.
constexpr std::array kRest{
    KeyRule{"vision_model.*", "visual.*"},
    KeyRule{"text_model.*", "text.*"},
};

constexpr auto kWholeNames =
    joined(kTransformersPositionIds, kVision, kText, kRest);

/// The image tower's names without what whole models have in front of them.
constexpr auto bare() {
  constexpr std::string_view kPrefix = "vision_model.";
  auto rules = kVision;
  for (KeyRule& rule : rules) rule.source.remove_prefix(kPrefix.size());
  return rules;
}
constexpr auto kBareNames =
    joined(kTransformersPositionIds, bare(), kRestOfTower);

// --- configuration ---

// Fields of transformers' SiglipConfig, SiglipVisionConfig and
// SiglipTextConfig.
constexpr std::array kModelFields{
    KnownField{"model_type"},
    KnownField{"vision_config"},
    KnownField{"text_config"},
    KnownField{"initializer_factor"},
};
constexpr std::array kTowerFields{
    KnownField{"hidden_size"},
    KnownField{"intermediate_size"},
    KnownField{"num_hidden_layers"},
    KnownField{"num_attention_heads"},
    KnownField{"hidden_act"},
    KnownField{"layer_norm_eps"},
    KnownField{"attention_dropout"},
    KnownField{"initializer_factor"},
    KnownField{"initializer_range"},
};
constexpr std::array kVisionFields{
    KnownField{"model_type", "\"siglip_vision_model\""},
    KnownField{"num_channels", "3"},
    KnownField{"image_size"},
    KnownField{"patch_size"},
    KnownField{"vision_use_head", "true"},
};
// Siglip2VisionConfig's.
constexpr std::array kNaflexFields{
    KnownField{"model_type", "\"siglip2_vision_model\""},
    KnownField{"num_channels", "3"},
    KnownField{"num_patches"},
    KnownField{"patch_size"},
    KnownField{"vision_use_head", "true"},
};
// The special tokens are CLIP's in most files and mean nothing.
constexpr std::array kTextFields{
    KnownField{"model_type", "\"siglip_text_model\" \"siglip2_text_model\""},
    KnownField{"vocab_size"},
    KnownField{"max_position_embeddings"},
    KnownField{"projection_size"},
    KnownField{"no_head"},
    KnownField{"bos_token_id"},
    KnownField{"eos_token_id"},
    KnownField{"pad_token_id"},
};

int64_t heads(const Fields& fields, int64_t width) {
  const int64_t count = fields.size("num_attention_heads", 12);
  if (width % count != 0) {
    fields.reject("num_attention_heads",
                  "a divisor of hidden_size " + std::to_string(width) +
                      ", found " + std::to_string(count));
  }
  return count;
}

// Missing fields have the defaults of transformers' SiglipVisionConfig and
// SiglipTextConfig, which published files rely on.
VisionConfig vision_config(const Fields& f, bool naflex) {
  VisionConfig v;
  v.patch = f.size("patch_size", 16);
  if (naflex) {
    const int64_t patches = f.size("num_patches", 256);
    v.grid = square_side(patches);
    if (v.grid < 1) {
      f.reject("num_patches",
               "a square number, found " + std::to_string(patches));
    }
    v.image_size = v.grid * v.patch;
    v.any_shape = true;
  } else {
    v.image_size = f.size("image_size", 224);
    v.grid = v.image_size / v.patch;
  }
  v.width = f.size("hidden_size", 768);
  v.layers = f.size("num_hidden_layers", 12);
  v.heads = heads(f, v.width);
  v.mlp_hidden = f.size("intermediate_size", 3072);
  v.embed_dim = v.width;
  v.activation = f.activation("hidden_act", Activation::kGeluTanh);
  v.layer_norm_eps = f.epsilon("layer_norm_eps", kSiglipEpsilon);
  v.class_token = false;
  if (v.grid < 1) {
    f.reject("patch_size",
             "at most image_size " + std::to_string(v.image_size) + ", found " +
                 std::to_string(v.patch));
  }
  return v;
}

TextConfig text_config(const Fields& f, bool has_head) {
  TextConfig t;
  t.width = f.size("hidden_size", 768);
  t.layers = f.size("num_hidden_layers", 12);
  t.heads = heads(f, t.width);
  t.context = f.size("max_position_embeddings", 64);
  t.vocab = f.size("vocab_size", 32000);
  t.embed_dim = has_head ? f.size("projection_size", t.width) : t.width;
  t.activation = f.activation("hidden_act", Activation::kGeluTanh);
  t.layer_norm_eps = f.epsilon("layer_norm_eps", kSiglipEpsilon);
  t.pool = TextPool::kLast;
  t.causal = false;
  return t;
}

/// Without its head a text tower's output is what would go into one. A head
/// that the configuration denies takes no part, as in transformers.
bool has_text_head(const Fields& text, Checkpoint& out, TowerTensors& weights) {
  const std::string name = "text.text_projection";
  if (text.flag("no_head") && weights.tensors.erase(name) > 0) {
    weights.tensors.erase(name + "_bias");
    out.notes.emplace_back("text_model.head ignored: config.json says no_head");
  }
  return weights.has(name);
}

/// NaFlex's patch embedding is of rows of pixels with the channel last, [D,
/// p * p * 3]; as the kernel of a convolution it is [D, 3, p, p]. Returns
/// whether the file has one.
bool to_kernel(TowerTensors& weights) {
  const std::string name = "visual.conv1.weight";
  const auto found = weights.tensors.find(name);
  if (found == weights.tensors.end() || found->second.dim() != 2) return false;
  at::Tensor& rows = found->second;
  const int64_t side = square_side(rows.size(1) / 3);
  if (side < 1 || rows.size(1) != 3 * side * side) {
    weights.reject(
        name,
        "must have 3 * patch * patch columns, found " + c10::str(rows.sizes()));
  }
  rows = rows.reshape({rows.size(0), side, side, 3})
             .permute({0, 3, 1, 2})
             .contiguous();
  return true;
}

void read_config(const JsonFile& file,
                 bool has_text,
                 bool naflex,
                 TowerTensors& weights,
                 Checkpoint& out) {
  ModelConfig& config = out.config;
  const Fields top(file);
  const auto vision_fields =
      naflex ? fields_of(kTowerFields, kNaflexFields, kAnyFields)
             : fields_of(kTowerFields, kVisionFields, kAnyFields);
  const std::string kind = naflex ? "siglip2" : "siglip";
  const std::string* type = top.text("model_type");
  if (type != nullptr && *type == kind + "_vision_model") {
    top.check(vision_fields);
    note_unknown(top, vision_fields, "SigLIP", out.notes);
    config.vision = vision_config(top, naflex);
    return;
  }
  if (type != nullptr && *type != kind) {
    top.refuse("model_type",
               "whose towers are not those that its tensors have the names and "
               "shapes of; with these, \"" +
                   kind + "\" and \"" + kind + "_vision_model\" are run");
  }
  const Fields vision = top.inner("vision_config");
  const Fields text = top.inner("text_config");
  const auto text_fields = fields_of(kTowerFields, kTextFields, kAnyFields);
  vision.check(vision_fields);
  text.check(text_fields);
  note_unknown(top, fields_of(kModelFields, kAnyFields), "SigLIP", out.notes);
  note_unknown(vision, vision_fields, "SigLIP", out.notes);
  note_unknown(text, text_fields, "SigLIP", out.notes);
  config.vision = vision_config(vision, naflex);
  if (has_text) {
    config.text = text_config(text, has_text_head(text, out, weights));
  }
}

/// SigLIP's sentencepiece file, or the tokenizer.json of SigLIP 2. Neither
/// config.json nor tokenizer_config.json tells them apart in all published
/// folders.
TokenizerKind tokenizer_of(const std::string& folder, const TextConfig& text) {
  constexpr int64_t kGemmaVocabulary = 256000;
  const auto has = [&](const char* name) {
    std::error_code error;
    return std::filesystem::exists(utf8_path(folder) / name, error);
  };
  if (has("spiece.model")) return TokenizerKind::kSiglip;
  if (text.vocab >= kGemmaVocabulary) return TokenizerKind::kSiglip2;
  if (const auto file = read_json_if_there(folder, "tokenizer_config.json")) {
    const std::string* type = Fields(*file).text("tokenizer_class");
    if (type != nullptr && type->starts_with("Siglip2"))
      return TokenizerKind::kSiglip2;
    if (type != nullptr && type->starts_with("Siglip"))
      return TokenizerKind::kSiglip;
  }
  return has("tokenizer.json") ? TokenizerKind::kSiglip2
                               : TokenizerKind::kSiglip;
}

void read(const CheckpointSource& source, Checkpoint& out) {
  ModelConfig& config = out.config;
  TowerTensors& weights = source.weights;
  const bool has_text = has_text_tower(weights);
  const bool naflex = to_kernel(weights);
  const auto file = read_json_if_there(source.files.folder, "config.json");
  if (file) {
    read_config(*file, has_text, naflex, weights, out);
  } else {
    out.notes.emplace_back(kNoConfig);
    config.vision = read_siglip_vision(weights);
    config.vision.any_shape = naflex;
  }
  if (has_text && !config.text) config.text = read_siglip_text(weights);
  config.pixels = kSiglipPixels;
  config.preprocess = naflex ? naflex_preprocess(config.vision.patch)
                             : siglip_preprocess(/*bicubic=*/true);
  if (const auto processor =
          read_processor_config(source.files.folder, config.pixels)) {
    config.pixels = processor->pixels;
    config.preprocess = processor->preprocess;
  }
  if (source.files.trainer) out.format = "trainer";  // DeCLIP's
  // transformers has no other activation in any published file.
  complete_siglip_config(source, {}, {}, /*activation_told=*/true, out);
  if (config.text) {
    out.tokenizer = naflex ? TokenizerKind::kSiglip2
                           : tokenizer_of(source.files.folder, *config.text);
    config.text->fill_token = siglip_padding(out.tokenizer);
  }
}

}  // namespace
}  // namespace declip::hugging_face_siglip

namespace declip {

const Layout kHuggingFaceSiglip{
    "huggingface", hugging_face_siglip::kWholeNames, hugging_face_siglip::read};
const Layout kHuggingFaceSiglipVision{
    "huggingface", hugging_face_siglip::kBareNames, hugging_face_siglip::read};

}  // namespace declip

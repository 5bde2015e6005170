#include "families/hugging_face_clip.h"

#include <ATen/ops/eye.h>

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/json_fields.h"
#include "checkpoint/processor_config.h"
#include "checkpoint/transformers_fields.h"
#include "declip/error.h"
#include "families/clip_config.h"
#include "families/hugging_face_names.h"

namespace declip::hugging_face_clip {
namespace {

// --- names: transformers models/clip/modeling_clip.py ---

// "pre_layrnorm" is its spelling.
constexpr std::array kVisionEnds{
    KeyRule{"vision_model.embeddings.class_embedding",
            "visual.class_embedding"},
    KeyRule{"vision_model.embeddings.patch_embedding.weight",
            "visual.conv1.weight"},
    KeyRule{"vision_model.pre_layrnorm.*", "visual.ln_pre.*"},
};
constexpr auto kVision = joined(kTransformersImageTower, kVisionEnds);

constexpr std::array kProjection{
    KeyRule{"visual_projection.weight", "visual.proj", Transform::kTranspose}};

constexpr std::array kTextEnds{
    KeyRule{"text_projection.weight",
            "text.text_projection",
            Transform::kTranspose},
    KeyRule{"logit_scale", "logit_scale"},
};
constexpr auto kText = joined(kTransformersTextTower, kTextEnds);

// What is left of the towers is unknown there and must not pass silently.
constexpr std::array kRest{
    KeyRule{"vision_model.*", "visual.*"},
    KeyRule{"text_model.*", "text.*"},
};

constexpr auto kWholeNames =
    joined(kTransformersPositionIds, kVision, kProjection, kText, kRest);

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

// Fields of transformers' CLIPConfig, CLIPVisionConfig and CLIPTextConfig.
constexpr std::array kModelFields{
    KnownField{"model_type"},
    KnownField{"projection_dim"},
    KnownField{"vision_config"},
    KnownField{"text_config"},
    KnownField{"vision_config_dict"},
    KnownField{"text_config_dict"},
    KnownField{"logit_scale_init_value"},
    KnownField{"initializer_factor"},
};
constexpr std::array kTowerFields{
    KnownField{"hidden_size"},
    KnownField{"intermediate_size"},
    KnownField{"projection_dim"},
    KnownField{"num_hidden_layers"},
    KnownField{"num_attention_heads"},
    KnownField{"hidden_act"},
    KnownField{"layer_norm_eps"},
    KnownField{"attention_dropout"},
    KnownField{"initializer_range"},
    KnownField{"initializer_factor"},
};
constexpr std::array kVisionFields{
    KnownField{"model_type",
               "\"clip_vision_model\" \"metaclip_2_vision_model\""},
    KnownField{"num_channels", "3"},
    KnownField{"image_size"},
    KnownField{"patch_size"},
};
constexpr std::array kTextFields{
    KnownField{"model_type", "\"clip_text_model\" \"metaclip_2_text_model\""},
    KnownField{"vocab_size"},
    KnownField{"max_position_embeddings"},
    KnownField{"bos_token_id"},
    KnownField{"eos_token_id"},
    KnownField{"pad_token_id"},
};

int64_t heads(const Fields& fields, int64_t width, int64_t missing) {
  const int64_t count = fields.size("num_attention_heads", missing);
  if (width % count != 0) {
    fields.reject("num_attention_heads",
                  "a divisor of hidden_size " + std::to_string(width) +
                      ", found " + std::to_string(count));
  }
  return count;
}

// Missing fields have the defaults of transformers' CLIPVisionConfig and
// CLIPTextConfig, which published files rely on.
VisionConfig vision_config(const Fields& f, int64_t embed_dim) {
  VisionConfig v;
  v.image_size = f.size("image_size", 224);
  v.patch = f.size("patch_size", 32);
  v.grid = v.image_size / v.patch;
  v.width = f.size("hidden_size", 768);
  v.layers = f.size("num_hidden_layers", 12);
  v.heads = heads(f, v.width, 12);
  v.mlp_hidden = f.size("intermediate_size", 3072);
  v.embed_dim = embed_dim;
  v.activation = f.activation("hidden_act");
  v.layer_norm_eps = f.epsilon("layer_norm_eps", 1e-5);
  if (v.grid < 1) {
    f.reject("patch_size",
             "at most image_size " + std::to_string(v.image_size) + ", found " +
                 std::to_string(v.patch));
  }
  return v;
}

TextConfig text_config(const Fields& f, int64_t embed_dim, bool metaclip_2) {
  // In a CLIP, transformers pools the largest id for this value, which older
  // configs carry though it is not CLIP's end token. MetaCLIP 2 means it.
  constexpr int64_t kLegacyEos = 2, kClipEnd = 49407;
  TextConfig t;
  t.width = f.size("hidden_size", 512);
  t.layers = f.size("num_hidden_layers", 12);
  t.heads = heads(f, t.width, 8);
  t.context = f.size("max_position_embeddings", 77);
  t.vocab = f.size("vocab_size", 49408);
  t.embed_dim = embed_dim;
  t.activation = f.activation("hidden_act");
  t.layer_norm_eps = f.epsilon("layer_norm_eps", 1e-5);
  auto eos = f.integer("eos_token_id");
  if (metaclip_2 && !eos) eos = kClipEnd;  // the default there too
  if (eos && (metaclip_2 || *eos != kLegacyEos)) {
    if (*eos < 0 || *eos >= t.vocab) {
      f.reject("eos_token_id",
               "0 to vocab_size-1 = " + std::to_string(t.vocab - 1) +
                   ", found " + std::to_string(*eos));
    }
    t.eot_token = *eos;
  }
  return t;
}

struct Config {
  VisionConfig vision;
  std::optional<TextConfig> text;  // absent for a CLIPVisionModel
  bool metaclip_2 = false;
};

Config read_config(const JsonFile& file, std::vector<std::string>& notes) {
  const Fields top(file);
  const auto vision_fields = fields_of(kTowerFields, kVisionFields, kAnyFields);
  const std::string* type = top.text("model_type");
  if (type != nullptr &&
      (*type == "clip_vision_model" || *type == "metaclip_2_vision_model")) {
    top.check(vision_fields);
    note_unknown(top, vision_fields, "CLIP", notes);
    return {vision_config(top, top.size("projection_dim", 512)), std::nullopt};
  }
  const bool metaclip_2 = type != nullptr && *type == "metaclip_2";
  if (type != nullptr && *type != "clip" && !metaclip_2) {
    top.refuse("model_type",
               "whose text or image tower is not CLIP's; with tensors of these "
               "names, types \"clip\", \"metaclip_2\" and their vision models "
               "are run");
  }
  Fields vision = top.inner("vision_config");
  Fields text = top.inner("text_config");
  vision.override_with(top.find("vision_config_dict"));
  text.override_with(top.find("text_config_dict"));
  const auto text_fields = fields_of(kTowerFields, kTextFields, kAnyFields);
  vision.check(vision_fields);
  text.check(text_fields);
  note_unknown(top, fields_of(kModelFields, kAnyFields), "CLIP", notes);
  note_unknown(vision, vision_fields, "CLIP", notes);
  note_unknown(text, text_fields, "CLIP", notes);
  const int64_t embed_dim = top.size("projection_dim", 512);
  return {vision_config(vision, embed_dim),
          text_config(text, embed_dim, metaclip_2),
          metaclip_2};
}

/// A CLIPVisionModel has no projection: its features are what would go into
/// one.
bool complete_projection(TowerTensors& weights) {
  if (weights.has("visual.proj")) return false;
  const auto norm = weights.tensors.find("visual.ln_post.weight");
  if (norm == weights.tensors.end() || norm->second.dim() != 1) return false;
  weights.tensors.emplace(
      "visual.proj", at::eye(norm->second.size(0), norm->second.options()));
  return true;
}

void read(const CheckpointSource& source, Checkpoint& out) {
  ModelConfig& config = out.config;
  TowerTensors& weights = source.weights;
  const bool has_text = has_text_tower(weights);
  if (!has_text && complete_projection(weights)) {
    out.notes.emplace_back(
        "no visual_projection.weight: features are those of the image tower "
        "before the projection, which no text shares");
  }
  ToldOfTowers towers;
  out.tokenizer = TokenizerKind::kFolder;
  if (const auto file =
          read_json_if_there(source.files.folder, "config.json")) {
    const Config told = read_config(*file, out.notes);
    config.vision = told.vision;
    if (has_text) config.text = told.text;
    if (!has_text)
      config.vision.embed_dim = weights.need("visual.proj", 2).size(1);
    towers.activation = true;
    if (told.metaclip_2) out.tokenizer = TokenizerKind::kXlmV;
  } else {
    out.notes.emplace_back(kNoConfig);
    config.vision = read_clip_vision(weights);
  }
  if (has_text && !config.text) config.text = read_text_tower(weights);
  if (const auto processor =
          read_processor_config(source.files.folder, config.pixels)) {
    config.pixels = processor->pixels;
    config.preprocess = processor->preprocess;
  }
  complete_clip_config(source, towers, out);
}

}  // namespace
}  // namespace declip::hugging_face_clip

namespace declip {

const Layout kHuggingFaceClip{
    "huggingface", hugging_face_clip::kWholeNames, hugging_face_clip::read};
const Layout kHuggingFaceVision{
    "huggingface", hugging_face_clip::kBareNames, hugging_face_clip::read};

}  // namespace declip

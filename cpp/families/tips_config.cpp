#include "families/tips_config.h"

#include <array>

#include "checkpoint/json_fields.h"
#include "checkpoint/transformers_fields.h"
#include "families/clip_config.h"

namespace declip {
namespace tips_config {
namespace {

constexpr std::string_view kVisionType = "tipsv2_vision_model";

// Fields of transformers' Tipsv2Config, Tipsv2VisionConfig and
// Tipsv2TextConfig.
constexpr std::array kTipsModel{
    KnownField{"model_type"},
    KnownField{"vision_config"},
    KnownField{"text_config"},
    KnownField{"temperature_init_value"},
};
constexpr std::array kVision{
    KnownField{"model_type", "\"tipsv2_vision_model\""},
    KnownField{"hidden_size"},
    KnownField{"num_hidden_layers"},
    KnownField{"num_attention_heads"},
    KnownField{"mlp_ratio"},
    KnownField{"hidden_act", "\"gelu\""},
    KnownField{"hidden_dropout_prob"},
    KnownField{"attention_probs_dropout_prob"},
    KnownField{"initializer_range"},
    KnownField{"layer_norm_eps"},
    KnownField{"image_size"},
    KnownField{"patch_size"},
    KnownField{"num_channels", "3"},
    KnownField{"qkv_bias", "true"},
    KnownField{"layerscale_value"},  // where training begins
    KnownField{"drop_path_rate"},
    KnownField{"use_swiglu_ffn"},
    KnownField{"num_register_tokens"},
    // What a backbone of transformers hands out.
    KnownField{"stage_names"},
    KnownField{"out_features"},
    KnownField{"out_indices"},
    KnownField{"apply_layernorm"},
    KnownField{"reshape_hidden_states"},
};
constexpr std::array kText{
    KnownField{"model_type", "\"tipsv2_text_model\""},
    KnownField{"vocab_size"},
    KnownField{"hidden_size"},
    KnownField{"intermediate_size"},
    KnownField{"num_hidden_layers"},
    KnownField{"num_attention_heads"},
    KnownField{"max_position_embeddings"},
    KnownField{"hidden_act", "\"relu\""},
    KnownField{"layer_norm_eps"},
    KnownField{"attention_dropout"},
    KnownField{"pad_token_id"},
    KnownField{"initializer_range"},
    KnownField{"scale_sqrt_depth"},
    KnownField{"pooling_epsilon", "1e-08"},
};

// Those of the authors' repositories (google/tipsv2-b14 and others).
constexpr std::array kFlat{
    KnownField{"model_type"},
    KnownField{"vision_fn",
               "\"vit_small\" \"vit_base\" \"vit_large\" \"vit_so400m\" "
               "\"vit_giant2\""},
    KnownField{"embed_dim"},
    KnownField{"patch_size"},
    KnownField{"img_size"},
    KnownField{"ffn_layer", "\"mlp\" \"swiglu\""},
    KnownField{"init_values"},
    KnownField{"num_register_tokens"},
    KnownField{"text_hidden_size"},
    KnownField{"text_mlp_dim"},
    KnownField{"text_num_heads"},
    KnownField{"text_num_layers"},
    KnownField{"vocab_size"},
    KnownField{"max_len"},
    KnownField{"temperature"},
};

double temperature(const Fields& f, const std::string& name, double missing) {
  const double value = f.number(name).value_or(missing);
  if (!(value > 0)) f.reject(name, "a number above 0");
  return value;
}

void read_vision(const Fields& f,
                 std::vector<std::string>& notes,
                 TipsConfig& out) {
  const auto known = fields_of(kVision, kAnyFields);
  f.check(known);
  note_unknown(f, known, "TIPSv2", notes);
  out.vision_heads = f.size("num_attention_heads", 12);
  out.vision_eps = f.epsilon("layer_norm_eps", out.vision_eps);
}

void read_text(const Fields& f,
               std::vector<std::string>& notes,
               TipsConfig& out) {
  const auto known = fields_of(kText, kAnyFields);
  f.check(known);
  note_unknown(f, known, "TIPSv2", notes);
  out.text_heads = f.size("num_attention_heads", 12);
  out.text_eps = f.epsilon("layer_norm_eps", out.text_eps);
  out.context = f.size("max_position_embeddings", out.context);
  out.pad_token = f.integer("pad_token_id").value_or(out.pad_token);
  out.scaled_embedding = f.flag("scale_sqrt_depth", out.scaled_embedding);
}

/// Heads of the image tower follow from its name, whose width the tensors have.
void read_flat(const Fields& f,
               std::vector<std::string>& notes,
               TipsConfig& out) {
  const auto known = fields_of(kFlat, kAnyFields);
  f.check(known);
  note_unknown(f, known, "TIPSv2", notes);
  out.text_heads = f.size("text_num_heads");
  out.context = f.size("max_len", out.context);
  out.temperature = temperature(f, "temperature", 0.01);
}

}  // namespace
}  // namespace tips_config

TipsConfig read_tips_config(const std::string& folder,
                            std::vector<std::string>& notes) {
  using namespace tips_config;
  TipsConfig out;
  const auto file = read_json_if_there(folder, "config.json");
  if (!file) {
    notes.emplace_back(kNoConfig);
    return out;
  }
  out.found = true;
  const Fields top(*file);
  const std::string* type = top.text("model_type");
  if (type != nullptr && *type == kVisionType) {
    read_vision(top, notes, out);
    return out;
  }
  if (type != nullptr && *type != "tipsv2") {
    top.refuse("model_type",
               "and the weights are TIPSv2's; put the config.json that came "
               "with them beside them");
  }
  if (top.find("vision_config") == nullptr &&
      top.find("text_config") == nullptr) {
    read_flat(top, notes, out);
    return out;
  }
  note_unknown(top, fields_of(kTipsModel, kAnyFields), "TIPSv2", notes);
  read_vision(top.inner("vision_config"), notes, out);
  read_text(top.inner("text_config"), notes, out);
  out.temperature = temperature(top, "temperature_init_value", out.temperature);
  return out;
}

}  // namespace declip

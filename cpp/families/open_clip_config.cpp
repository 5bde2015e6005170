#include "families/open_clip_config.h"

#include <array>
#include <span>

#include "checkpoint/json_fields.h"
#include "declip/error.h"
#include "files/text.h"

namespace declip {
namespace {

// Fields of open_clip 3.3's CLIP and of the two towers (model.py: CLIP,
// CLIPVisionCfg, CLIPTextCfg), those of earlier versions, and those of
// EVA-CLIP's configurations. open_clip itself refuses any other.

constexpr std::array kModel{
    KnownField{"embed_dim"},
    KnownField{"vision_cfg"},
    KnownField{"text_cfg"},
    KnownField{"quick_gelu"},
    KnownField{"custom_text"},
    KnownField{"init_logit_scale"},
    KnownField{"init_logit_bias"},
    KnownField{"nonscalar_logit_scale"},
    KnownField{"cast_dtype"},
    KnownField{"output_dict"},
    KnownField{"multimodal_cfg", "{}"},
    KnownField{"preprocess_cfg"},
};

// For `pool_type` "tok" a norm before pooling and one after it are the same.
constexpr std::array kVision{
    KnownField{"image_size"},
    KnownField{"layers"},
    KnownField{"width"},
    KnownField{"head_width"},
    KnownField{"mlp_ratio"},
    KnownField{"patch_size"},
    KnownField{"ls_init_value"},
    KnownField{"patch_dropout"},
    KnownField{"attentional_pool", "false \"none\""},
    KnownField{"attn_pooler_queries"},
    KnownField{"attn_pooler_heads"},
    KnownField{"no_ln_pre", "false"},
    KnownField{"pos_embed_type"},
    KnownField{"final_ln_after_pool"},
    KnownField{"pool_type", "\"tok\""},
    KnownField{"output_tokens"},
    KnownField{"act_kwargs", "{} {\"approximate\":\"none\"}"},
    KnownField{"norm_kwargs"},
    KnownField{"block_type"},
    KnownField{"qk_norm", "false"},
    KnownField{"scaled_cosine_attn", "false"},
    KnownField{"scale_heads", "false"},
    KnownField{"scale_attn_inner", "false"},
    KnownField{"scale_attn", "false"},
    KnownField{"scale_fc", "false"},
    KnownField{"timm_model_name"},
    KnownField{"timm_model_pretrained"},
    KnownField{"timm_pool"},
    KnownField{"timm_proj"},
    KnownField{"timm_proj_bias"},
    KnownField{"timm_drop"},
    KnownField{"timm_drop_path"},
    // earlier versions
    KnownField{"global_average_pool", "false"},
    KnownField{"input_patchnorm", "false"},
    KnownField{"n_queries"},
    // EVA-CLIP
    KnownField{"eva_model_name"},
    KnownField{"drop_path_rate"},
    KnownField{"xattn"},
    KnownField{"fusedLN"},
    KnownField{"qkv_bias"},
    KnownField{"rope"},
    KnownField{"pt_hw_seq_len"},
    KnownField{"intp_freq"},
    KnownField{"naiveswiglu"},
    KnownField{"subln"},
};

constexpr std::array kText{
    KnownField{"context_length"},
    KnownField{"vocab_size"},
    KnownField{"hf_tokenizer_name"},
    KnownField{"tokenizer_mode", "\"\""},
    KnownField{"tokenizer_kwargs"},
    KnownField{"width"},
    KnownField{"heads"},
    KnownField{"layers"},
    KnownField{"mlp_ratio"},
    KnownField{"ls_init_value"},
    KnownField{"embed_cls", "false"},
    KnownField{"pad_id"},
    KnownField{"eos_id"},
    KnownField{"no_causal_mask", "false"},
    KnownField{"final_ln_after_pool"},
    KnownField{"pool_type", "\"argmax\" \"eos\""},
    KnownField{"proj_bias", "false"},
    KnownField{"proj_type", "\"linear\""},
    KnownField{"output_tokens"},
    KnownField{"act_kwargs", "{} {\"approximate\":\"none\"}"},
    KnownField{"norm_kwargs"},
    KnownField{"block_type"},
    KnownField{"qk_norm", "false"},
    KnownField{"scaled_cosine_attn", "false"},
    KnownField{"scale_heads", "false"},
    KnownField{"scale_attn_inner", "false"},
    KnownField{"scale_attn", "false"},
    KnownField{"scale_fc", "false"},
    KnownField{"hf_model_name", "\"\""},
    KnownField{"hf_model_pretrained"},
    KnownField{"hf_proj_type"},
    KnownField{"hf_pooler_type"},
    // EVA-CLIP
    KnownField{"xattn"},
    KnownField{"fusedLN"},
};

// torch.nn.LayerNorm's
constexpr std::array kNorm{
    KnownField{"eps"},
    KnownField{"elementwise_affine", "true"},
    KnownField{"bias", "true"},
};

// SimpleTokenizer's
constexpr std::array kTokenizer{
    KnownField{"clean", "\"lower\""},
    KnownField{"context_length"},
    KnownField{"reduction_mask", "\"\""},
    KnownField{"strip_sep_token", "false"},
};

void refuse_unknown(const Fields& fields, std::span<const KnownField> known) {
  fields.check(known);
  const auto unknown = fields.unknown(known);
  if (unknown.empty()) return;
  fields.refuse(unknown.front(),
                "a field that this package does not know and that may change "
                "what the model computes");
}

std::optional<double> norm_epsilon(const Fields& tower) {
  const Fields norm = tower.inner("norm_kwargs");
  refuse_unknown(norm, kNorm);
  if (norm.find("eps") == nullptr) return std::nullopt;
  return norm.epsilon("eps", 1e-5);
}

void check_tokenizer(const Fields& text) {
  const std::string* name = text.text("hf_tokenizer_name");
  if (name != nullptr && !name->empty() &&
      !name->starts_with("openai/clip-vit-")) {
    text.refuse("hf_tokenizer_name",
                "another tokenizer than CLIP's, which this package does not "
                "have");
  }
  refuse_unknown(text.inner("tokenizer_kwargs"), kTokenizer);
}

// open_clip pools the first token with this id, and of a text without one the
// first token.
std::optional<int64_t> pooled_token(const Fields& text) {
  constexpr int64_t kMissing = 2, kClipEnd = 49407;
  const std::string* pool = text.text("pool_type");
  if (pool == nullptr || *pool != "eos") return std::nullopt;
  const int64_t id = text.integer("eos_id").value_or(kMissing);
  if (id == kClipEnd) return id;
  text.refuse("eos_id",
              "not " + std::to_string(kClipEnd) +
                  ", with which CLIP's tokenizer ends a text",
              std::to_string(id));
}

// open_clip's PreprocessCfg. Its `size` is always that of the image tower.
constexpr std::array kPreprocess{
    KnownField{"mode", "\"RGB\""},
    KnownField{"interpolation", "\"bicubic\" \"bilinear\" \"random\""},
    KnownField{"resize_mode", "\"shortest\" \"longest\" \"squash\""},
};

/// A square's side, given as one number or as two.
int64_t image_side(const Fields& vision) {
  const Json* found = vision.find("image_size");
  if (found == nullptr || found->array() == nullptr) {
    return vision.size("image_size", 0);
  }
  const Json::Array& sides = *found->array();
  const auto first = sides.empty() ? std::nullopt : sides[0].integer();
  if (sides.size() != 2 || !first || *first < 1 ||
      sides[1].integer() != first) {
    vision.refuse("image_size", "where one side of a square is expected");
  }
  return *first;
}

std::optional<TimmTower> read_timm_tower(const Fields& vision,
                                         ImageTower tower) {
  const std::string* model = vision.text("timm_model_name");
  if (model == nullptr || model->empty()) return std::nullopt;
  if (tower != ImageTower::kTimm) {
    vision.refuse("timm_model_name",
                  "and the weights are those of a tower of open_clip's own");
  }
  const std::string* pool = vision.text("timm_pool");
  return TimmTower{*model, pool == nullptr ? "avg" : *pool};
}

Preprocess read_preprocess(const Fields& fields, int64_t side) {
  fields.check(kPreprocess);
  Preprocess out;
  out.side = side;
  out.crop_side = side;
  // 'random' is for training; open_clip's inference is bicubic with it.
  const std::string* filter = fields.text("interpolation");
  out.bicubic = filter == nullptr || *filter != "bilinear";
  const std::string* resize = fields.text("resize_mode");
  if (resize != nullptr && *resize == "squash") {
    out.resize = Preprocess::Resize::kSquash;
    out.crop = false;
  } else if (resize != nullptr && *resize == "longest") {
    out.resize = Preprocess::Resize::kLongest;
  }
  const auto fill = fields.channels("fill_color");
  for (size_t c = 0; fill && c < 3; ++c) {
    if (!((*fill)[c] >= 0) || (*fill)[c] > 255) {
      fields.reject("fill_color", "0 to 255");
    }
    out.fill[c] = static_cast<uint8_t>((*fill)[c]);
  }
  return out;
}

}  // namespace

std::optional<OpenClipConfig> read_open_clip_config(const std::string& folder,
                                                    ImageTower tower) {
  const auto file = read_json_if_there(folder, "open_clip_config.json");
  if (!file) return std::nullopt;
  const Fields top(*file);
  // A model's configuration alone, as open_clip's own list has them.
  const bool bare =
      top.find("model_cfg") == nullptr && top.find("vision_cfg") != nullptr;
  const Fields model = bare ? top : top.inner("model_cfg");
  refuse_unknown(model, kModel);
  OpenClipConfig out;
  out.path = file->path;
  out.activation =
      model.flag("quick_gelu") ? Activation::kQuickGelu : Activation::kGelu;
  const Fields vision = model.inner("vision_cfg");
  const Fields text = model.inner("text_cfg");
  refuse_unknown(vision, kVision);
  out.timm = read_timm_tower(vision, tower);
  out.head_width = vision.size("head_width");
  out.layer_norm_eps = norm_epsilon(vision);
  check_tokenizer(text);
  refuse_unknown(text, kText);
  out.text_heads = text.size("heads");
  out.text_layer_norm_eps = norm_epsilon(text);
  out.eot_token = pooled_token(text);
  const Fields preprocess = top.inner("preprocess_cfg");
  out.pixels = pixel_stats(preprocess, "mean", "std");
  out.preprocess = read_preprocess(preprocess, image_side(vision));
  return out;
}

void apply(const OpenClipConfig& told, ModelConfig& config) {
  if (told.layer_norm_eps) config.vision.layer_norm_eps = *told.layer_norm_eps;
  if (config.text) {
    if (told.text_layer_norm_eps) {
      config.text->layer_norm_eps = *told.text_layer_norm_eps;
    }
    if (told.eot_token) config.text->eot_token = *told.eot_token;
  }
  if (told.pixels) config.pixels = *told.pixels;
  config.preprocess = told.preprocess;
}

}  // namespace declip

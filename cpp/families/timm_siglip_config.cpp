#include "families/timm_siglip_config.h"

#include <array>
#include <span>

#include "checkpoint/json_fields.h"
#include "families/siglip_config.h"

namespace declip {
namespace {

constexpr std::array kTimmSiglipModel{
    KnownField{"embed_dim"},
    KnownField{"vision_cfg"},
    KnownField{"text_cfg"},
    KnownField{"custom_text", "true"},
    KnownField{"quick_gelu", "false"},
    KnownField{"init_logit_scale"},
    KnownField{"init_logit_bias"},
    KnownField{"nonscalar_logit_scale"},
    KnownField{"cast_dtype"},
    KnownField{"output_dict"},
    KnownField{"multimodal_cfg", "{}"},
    KnownField{"preprocess_cfg"},
};
// open_clip hands a tower of timm's none of its own arguments.
constexpr std::array kTimmSiglipVision{
    KnownField{"image_size"},
    KnownField{"timm_model_name"},
    KnownField{"timm_model_pretrained"},
    KnownField{"timm_pool", "\"map\""},
    KnownField{"timm_proj", "\"none\" \"\""},
    KnownField{"timm_proj_bias"},
    KnownField{"timm_drop"},
    KnownField{"timm_drop_path"},
    KnownField{"patch_dropout"},
    KnownField{"output_tokens"},
    KnownField{"width"},
    KnownField{"layers"},
    KnownField{"head_width"},
    KnownField{"patch_size"},
    KnownField{"mlp_ratio"},
    KnownField{"act_kwargs"},
    KnownField{"norm_kwargs"},
};
constexpr std::array kTimmSiglipText{
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
    KnownField{"no_causal_mask"},
    KnownField{"final_ln_after_pool"},
    KnownField{"pool_type", "\"last\" \"first\" \"argmax\""},
    KnownField{"proj_bias"},
    KnownField{"proj_type", "\"linear\" \"none\""},
    KnownField{"output_tokens"},
    KnownField{"act_kwargs",
               "{} {\"approximate\":\"none\"} {\"approximate\":\"tanh\"}"},
    KnownField{"norm_kwargs"},
    KnownField{"hf_model_name", "\"\""},
};
constexpr std::array kTimmSiglipNorm{KnownField{"eps"}};
constexpr std::array kTimmSiglipPreprocess{
    KnownField{"size"},
    KnownField{"mean"},
    KnownField{"std"},
    KnownField{"fill_color"},
    KnownField{"mode", "\"RGB\""},
    KnownField{"interpolation", "\"bicubic\" \"bilinear\" \"random\""},
    KnownField{"resize_mode", "\"squash\" \"shortest\" \"longest\""},
};

void refuse_unknown(const Fields& fields, std::span<const KnownField> known) {
  fields.check(known);
  const auto unknown = fields.unknown(known);
  if (unknown.empty()) return;
  fields.refuse(unknown.front(),
                "a field that this package does not know and that may change "
                "what the model computes");
}

bool is(const std::string* value, const char* expected) {
  return value != nullptr && *value == expected;
}

void read_text(const Fields& text, TimmSiglipConfig& out) {
  refuse_unknown(text, kTimmSiglipText);
  out.text_heads = text.size("heads");
  out.causal = !text.flag("no_causal_mask");
  const std::string* pool = text.text("pool_type");
  if (is(pool, "last")) out.pool = TextPool::kLast;
  if (is(pool, "first")) out.pool = TextPool::kFirst;
  if (is(text.inner("act_kwargs").text("approximate"), "tanh")) {
    out.text_activation = Activation::kGeluTanh;
  }
  const Fields norm = text.inner("norm_kwargs");
  refuse_unknown(norm, kTimmSiglipNorm);
  // open_clip's own default, where SigLIP's configurations say 1e-6.
  out.text_layer_norm_eps = norm.epsilon("eps", 1e-5);
}

Preprocess read_preprocess(const Fields& fields, int64_t side) {
  refuse_unknown(fields, kTimmSiglipPreprocess);
  Preprocess out;
  out.side = side;
  out.crop_side = side;
  out.bicubic = !is(fields.text("interpolation"), "bilinear");
  const std::string* resize = fields.text("resize_mode");
  if (is(resize, "squash")) {
    out.resize = Preprocess::Resize::kSquash;
    out.crop = false;
  } else if (is(resize, "longest")) {
    out.resize = Preprocess::Resize::kLongest;
  }
  return out;
}

/// A square's side, as one number or the last of several.
int64_t side_of(const Fields& fields, const std::string& name) {
  const Json* found = fields.find(name);
  if (found == nullptr || found->array() == nullptr) {
    return fields.size(name, 0);
  }
  const Json::Array& sides = *found->array();
  const size_t count = sides.size();
  const auto last = count < 2 ? std::nullopt : sides[count - 1].integer();
  if (!last || *last < 1 || sides[count - 2].integer() != last) {
    fields.refuse(name, "where one side of a square is expected");
  }
  return *last;
}

}  // namespace

std::optional<TimmSiglipConfig> read_open_clip_siglip(
    const std::string& folder) {
  const auto file = read_json_if_there(folder, "open_clip_config.json");
  if (!file) return std::nullopt;
  const Fields top(*file);
  // A model's configuration alone, as open_clip's own list has them.
  const bool bare =
      top.find("model_cfg") == nullptr && top.find("vision_cfg") != nullptr;
  const Fields model = bare ? top : top.inner("model_cfg");
  refuse_unknown(model, kTimmSiglipModel);
  const Fields vision = model.inner("vision_cfg");
  refuse_unknown(vision, kTimmSiglipVision);
  TimmSiglipConfig out;
  out.path = file->path;
  if (const auto* name = vision.text("timm_model_name")) out.model = *name;
  out.image_size = side_of(vision, "image_size");
  read_text(model.inner("text_cfg"), out);
  const Fields preprocess = top.inner("preprocess_cfg");
  out.pixels = pixel_stats(preprocess, "mean", "std");
  out.preprocess = read_preprocess(preprocess, out.image_size);
  return out;
}

std::optional<TimmSiglipConfig> read_timm_siglip(const std::string& folder) {
  constexpr std::array kTop{KnownField{"global_pool", "\"map\""}};
  constexpr std::array kTrained{
      KnownField{"crop_pct", "1 1.0"},
      KnownField{"crop_mode", "\"squash\" \"center\""},
      KnownField{"interpolation", "\"bicubic\" \"bilinear\""}};
  const auto file = read_json_if_there(folder, "config.json");
  if (!file || file->json.find("architecture") == nullptr) return std::nullopt;
  const Fields top(*file);
  top.check(kTop);
  // Files of earlier versions have all fields at the top.
  const Fields trained =
      top.find("pretrained_cfg") != nullptr ? top.inner("pretrained_cfg") : top;
  trained.check(kTrained);
  TimmSiglipConfig out;
  out.path = file->path;
  out.model = *top.text("architecture");
  out.image_size = side_of(trained, "input_size");
  out.pixels = pixel_stats(trained, "mean", "std");
  out.preprocess = siglip_preprocess(
      /*bicubic=*/!is(trained.text("interpolation"), "bilinear"));
  out.preprocess.side = out.image_size;
  return out;
}

}  // namespace declip

#include "families/open_clip_config.h"

#include <array>
#include <cstdlib>
#include <span>

#include "checkpoint/family.h"
#include "checkpoint/json_fields.h"
#include "declip/error.h"
#include "files/text.h"

namespace declip {
namespace {

/// open_clip's two classes of blocks compute the same, unless a field below
/// asks for more.
constexpr std::string_view kBlocks = "\"default\" \"custom\"";

// Fields of open_clip 3.3's CLIP and of the two towers (model.py: CLIP,
// CLIPVisionCfg, CLIPTextCfg), those of earlier versions, and those of
// EVA-CLIP's configurations. open_clip itself refuses any other. What has no
// values here is read below, or changes nothing: test/fixtures/fields.json.

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
    KnownField{"multimodal_cfg"},
    KnownField{"preprocess_cfg"},
};

constexpr std::array kVision{
    KnownField{"image_size"},
    KnownField{"layers"},
    KnownField{"width"},
    KnownField{"head_width"},
    KnownField{"mlp_ratio"},
    KnownField{"patch_size"},
    KnownField{"ls_init_value"},
    KnownField{"patch_dropout"},
    KnownField{"attentional_pool"},
    KnownField{"attn_pooler_queries"},
    KnownField{"attn_pooler_heads"},
    KnownField{"no_ln_pre"},
    KnownField{"pos_embed_type"},
    KnownField{"final_ln_after_pool"},
    KnownField{"pool_type", "\"tok\" \"avg\""},
    KnownField{"output_tokens"},
    KnownField{"act_kwargs"},
    KnownField{"norm_kwargs"},
    KnownField{"block_type", kBlocks},
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
    KnownField{"embed_cls"},
    KnownField{"pad_id"},
    KnownField{"eos_id"},
    KnownField{"no_causal_mask"},
    KnownField{"final_ln_after_pool"},
    KnownField{"pool_type", "\"argmax\" \"eos\" \"first\" \"last\""},
    KnownField{"proj_bias"},
    KnownField{"proj_type", "\"linear\" \"none\""},
    KnownField{"output_tokens"},
    KnownField{"act_kwargs"},
    KnownField{"norm_kwargs"},
    KnownField{"block_type", kBlocks},
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

// torch.nn.GELU's
constexpr std::array kGelu{
    KnownField{"approximate", "\"none\" \"tanh\""},
};

// SimpleTokenizer's and HFTokenizer's; what makes ids reads the first and the
// last as well (ts/text/open-clip.ts).
constexpr std::array kTokenizer{
    KnownField{"clean", "\"lower\" \"whitespace\" \"canonicalize\""},
    KnownField{"context_length"},
    KnownField{"reduction_mask", "\"\""},
    KnownField{"strip_sep_token"},
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

/// Only GELU has arguments.
Activation activation_of(const Fields& tower, bool quick) {
  const Fields arguments = tower.inner("act_kwargs");
  refuse_unknown(arguments, kGelu);
  const std::string* approximate = arguments.text("approximate");
  if (approximate == nullptr) {
    return quick ? Activation::kQuickGelu : Activation::kGelu;
  }
  if (quick) {
    tower.refuse("act_kwargs",
                 "and \"quick_gelu\" is true, which takes no arguments");
  }
  return *approximate == "tanh" ? Activation::kGeluTanh : Activation::kGelu;
}

TokenizerKind read_tokenizer(const Fields& text) {
  refuse_unknown(text.inner("tokenizer_kwargs"), kTokenizer);
  const std::string* name = text.text("hf_tokenizer_name");
  if (name == nullptr || name->empty() ||
      name->starts_with("openai/clip-vit-")) {
    return TokenizerKind::kOpenClip;
  }
  return *name == "facebook/xlm-v-base" ? TokenizerKind::kXlmV
                                        : TokenizerKind::kOpenClipFolder;
}

void read_text_pool(const Fields& text, OpenClipConfig& out) {
  const std::string* pool = text.text("pool_type");
  if (pool == nullptr || *pool == "argmax") return;
  if (*pool == "first") out.pool = TextPool::kFirst;
  if (*pool == "last") out.pool = TextPool::kLast;
  // The first token with this id, and of a text without one the first token.
  if (*pool == "eos") out.eot_token = text.size("eos_id", 2);
}

/// CoCa's towers end in attentional pooling and in a class token of texts.
void refuse_coca(const Fields& model,
                 const Fields& vision,
                 const Fields& text) {
  const auto refuse = [](const Fields& fields, const std::string& name) {
    fields.refuse(name,
                  "which makes it a CoCa or a tower pooled by attention; this "
                  "package runs towers pooled at one token, or by their mean");
  };
  const Json* decoder = model.find("multimodal_cfg");
  if (decoder != nullptr && json_text(*decoder) != "{}") {
    refuse(model, "multimodal_cfg");
  }
  const Json* pool = vision.find("attentional_pool");
  if (pool != nullptr && json_text(*pool) != "false" &&
      json_text(*pool) != "\"none\"") {
    refuse(vision, "attentional_pool");
  }
  if (text.flag("embed_cls")) refuse(text, "embed_cls");
}

// open_clip's PreprocessCfg. Its `size` is always that of the image tower.
constexpr std::array kPreprocess{
    KnownField{"size"},
    KnownField{"mean"},
    KnownField{"std"},
    KnownField{"fill_color"},
    KnownField{"mode", "\"RGB\""},
    KnownField{"interpolation", "\"bicubic\" \"bilinear\" \"random\""},
    KnownField{"resize_mode", "\"shortest\" \"longest\" \"squash\""},
};

/// A square's side, given as one number or as two.
std::optional<int64_t> square_side(const Fields& vision,
                                   const std::string& name) {
  const Json* found = vision.find(name);
  if (found == nullptr || found->array() == nullptr) return vision.size(name);
  const Json::Array& sides = *found->array();
  const auto first = sides.empty() ? std::nullopt : sides[0].integer();
  if (sides.size() != 2 || !first || *first < 1 ||
      sides[1].integer() != first) {
    vision.refuse(name, "where one side of a square is expected");
  }
  return first;
}

std::optional<TimmTower> read_timm_tower(const Fields& vision,
                                         ImageTower tower) {
  const std::string* model = vision.text("timm_model_name");
  if (model == nullptr || model->empty()) return std::nullopt;
  if (tower != ImageTower::kTimm) {
    vision.refuse("timm_model_name",
                  "and the weights are those of a tower of open_clip's own");
  }
  // A null is not what open_clip takes for a field that is missing.
  const auto text = [&](const std::string& name, const char* missing) {
    const std::string* value = vision.text(name);
    if (value != nullptr) return *value;
    return std::string(vision.has_null(name) ? "" : missing);
  };
  return TimmTower{
      *model, text("timm_pool", "avg"), text("timm_proj", "linear")};
}

/// Sizes of the towers. timm's image towers have theirs from their names.
std::vector<ToldSize> read_sizes(const Fields& model,
                                 const Fields& vision,
                                 const Fields& text,
                                 const std::string& path,
                                 bool timm) {
  std::vector<ToldSize> out;
  const auto add = [&](const std::string& tower,
                       const std::string& name,
                       std::optional<int64_t> told,
                       int64_t (*found)(const ModelConfig&),
                       int64_t tolerance = 0) {
    if (!told) return;
    const auto where = tower.empty() ? path : path + ": \"" + tower + "\"";
    out.push_back({where + ": \"" + name + "\"", *told, found, tolerance});
  };
  add("", "embed_dim", model.size("embed_dim"), [](const ModelConfig& c) {
    return c.vision.embed_dim;
  });
  const auto hidden = [](const Fields& tower) -> std::optional<int64_t> {
    const auto ratio = tower.number("mlp_ratio");
    const auto width = tower.size("width");
    if (!ratio || !width) return std::nullopt;
    return static_cast<int64_t>(static_cast<double>(*width) * *ratio);
  };
  if (!timm) {
    const std::string tower = "vision_cfg";
    add(tower, "width", vision.size("width"), [](const ModelConfig& c) {
      return c.vision.width;
    });
    add(tower, "layers", vision.size("layers"), [](const ModelConfig& c) {
      return c.vision.layers;
    });
    add(tower,
        "patch_size",
        square_side(vision, "patch_size"),
        [](const ModelConfig& c) { return c.vision.patch; });
    add(
        tower,
        "mlp_ratio",
        hidden(vision),
        [](const ModelConfig& c) { return c.vision.mlp_hidden; },
        1);
  }
  const std::string tower = "text_cfg";
  add(tower, "width", text.size("width"), [](const ModelConfig& c) {
    return c.text->width;
  });
  add(tower, "layers", text.size("layers"), [](const ModelConfig& c) {
    return c.text->layers;
  });
  add(tower,
      "context_length",
      text.size("context_length"),
      [](const ModelConfig& c) { return c.text->context; });
  add(tower, "vocab_size", text.size("vocab_size"), [](const ModelConfig& c) {
    return c.text->vocab;
  });
  return out;
}

Preprocess read_preprocess(const Fields& fields, int64_t side) {
  refuse_unknown(fields, kPreprocess);
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
  const Fields vision = model.inner("vision_cfg");
  const Fields text = model.inner("text_cfg");
  refuse_coca(model, vision, text);
  refuse_unknown(model, kModel);
  refuse_unknown(vision, kVision);
  refuse_unknown(text, kText);
  const bool quick = model.flag("quick_gelu");
  OpenClipConfig out;
  out.path = file->path;
  out.timm = read_timm_tower(vision, tower);
  out.activation = activation_of(vision, quick);
  out.head_width = vision.size("head_width");
  out.layer_norm_eps = norm_epsilon(vision);
  out.norm_before_blocks = !vision.flag("no_ln_pre");
  const std::string* pool = vision.text("pool_type");
  out.mean_of_patches = pool != nullptr && *pool == "avg";
  out.norm_after_mean =
      out.mean_of_patches && vision.flag("final_ln_after_pool");
  out.text_activation = activation_of(text, quick);
  out.text_heads = text.size("heads");
  out.text_layer_norm_eps = norm_epsilon(text);
  out.causal = !text.flag("no_causal_mask");
  read_text_pool(text, out);
  const std::string* projection = text.text("proj_type");
  out.text_projection = projection == nullptr || *projection != "none";
  out.tokenizer = read_tokenizer(text);
  out.sizes = read_sizes(model, vision, text, file->path, out.timm.has_value());
  const Fields preprocess = top.inner("preprocess_cfg");
  out.pixels = pixel_stats(preprocess, "mean", "std");
  out.preprocess = read_preprocess(
      preprocess, square_side(vision, "image_size").value_or(0));
  return out;
}

namespace {

/// What is told of an image tower or a tokenizer and that only CLIP's plain
/// tower, or another family, does.
void refuse_for_family(const OpenClipConfig& told, const ModelConfig& config) {
  const std::string family(config.family->name);
  const auto refuse = [&](const std::string& field) {
    throw Error(ErrorCode::kWeights,
                told.path + ": " + field +
                    " changes what the model computes; a model of family '" +
                    family + "' is run without it only.");
  };
  if (family == "clip" || told.timm) return;
  if (!told.norm_before_blocks) refuse("\"no_ln_pre\"");
  if (told.mean_of_patches) refuse("\"pool_type\"");
  if (told.activation == Activation::kGeluTanh) refuse("\"act_kwargs\"");
  if (told.tokenizer != TokenizerKind::kOpenClip) {
    refuse("\"hf_tokenizer_name\"");
  }
}

}  // namespace

void apply(const OpenClipConfig& told, ModelConfig& config) {
  refuse_for_family(told, config);
  for (const ToldSize& size : told.sizes) {
    const bool of_text = size.where.find("\"text_cfg\"") != std::string::npos;
    if (of_text && !config.text) continue;
    const int64_t found = size.found(config);
    if (std::abs(found - size.told) <= size.tolerance) continue;
    throw Error(ErrorCode::kWeights,
                size.where + " makes " + std::to_string(size.told) +
                    ", and the tensors beside it have " +
                    std::to_string(found) +
                    ": the configuration belongs to other weights.");
  }
  if (told.layer_norm_eps && !told.timm) {
    config.vision.layer_norm_eps = *told.layer_norm_eps;
  }
  if (config.text) {
    TextConfig& t = *config.text;
    t.activation = told.text_activation;
    t.causal = told.causal;
    t.pool = told.pool;
    if (told.text_layer_norm_eps) t.layer_norm_eps = *told.text_layer_norm_eps;
    if (told.eot_token) t.eot_token = *told.eot_token;
    if (told.text_heads && t.width % *told.text_heads != 0) {
      throw Error(ErrorCode::kWeights,
                  told.path + ": \"text_cfg\": \"heads\" is " +
                      std::to_string(*told.text_heads) +
                      ", which does not divide the width " +
                      std::to_string(t.width) + ".");
    }
  }
  if (told.pixels) config.pixels = *told.pixels;
  config.preprocess = told.preprocess;
}

}  // namespace declip

#include "families/clip.h"

#include <array>
#include <cmath>
#include <string>

#include "cat_seg/cat_seg_file.h"
#include "checkpoint/tower_shapes.h"
#include "detect/detector_file.h"
#include "families/clip_config.h"
#include "families/clip_text.h"
#include "families/hugging_face_clip.h"
#include "families/initial_weights.h"
#include "families/open_clip_config.h"
#include "families/open_clip_names.h"
#include "families/timm_clip.h"
#include "files/mapped_file.h"
#include "model/clip_encoder.h"
#include "model/recipe.h"

namespace declip::clip_family {
namespace {

std::string format_of(const CheckpointSource& source, bool has_config) {
  if (source.files.torchscript) return "openai-jit";
  const std::string format(source.layout.format);
  if (format == "detector" || format == "cat-seg") return format;
  if (source.files.trainer) return "trainer";
  const auto file_name = utf8_path(source.files.path).filename().u8string();
  const bool open_clip = format == "open_clip" || has_config ||
                         file_name.starts_with(u8"open_clip");
  return open_clip ? "open_clip" : "openai";
}

void read(const CheckpointSource& source, Checkpoint& out) {
  const auto told = read_open_clip_config(source.files.folder);
  ModelConfig& config = out.config;
  config.vision = read_clip_vision(source.weights);
  config.text = read_text_tower(source.weights, !told || told->text_projection);
  ToldOfTowers towers;
  towers.activation = told.has_value() || source.files.torchscript;
  if (told) {
    towers.head_width = told->head_width;
    towers.text_heads = told->text_heads;
    config.vision.activation = told->activation;
    config.vision.norm_before_blocks = told->norm_before_blocks;
    config.vision.mean_of_patches = told->mean_of_patches;
    config.vision.norm_after_mean = told->norm_after_mean;
    apply(*told, config);
  } else if (!source.weights.has("visual.ln_pre.weight")) {
    source.weights.reject(
        "visual.ln_pre.weight",
        "is missing: the file is incomplete, or it is CLIPA, whose "
        "open_clip_config.json must lie beside it");
  }
  complete_clip_config(source, towers, out);
  out.format = format_of(source, told.has_value());
  out.tokenizer = out.format == "open_clip" ? TokenizerKind::kOpenClip
                                            : TokenizerKind::kOpenAi;
  if (told) out.tokenizer = told->tokenizer;
  if (is_clips(out.tokenizer)) check_clip_vocabulary(source.weights, config);
}

constexpr Layout kCustomText{"open_clip", kCustomTextNames, read};
constexpr Layout kBareTower{"", kBareTowerNames, read};
/// A tower with F-ViT's heads on it, or beside it in another file.
void read_with_heads(const CheckpointSource& source, Checkpoint& out) {
  read(source, out);
  read_detector(source, out);
}

/// Fine-tuned inside a CAT-Seg.
void read_in_cat_seg(const CheckpointSource& source, Checkpoint& out) {
  read(source, out);
  read_cat_seg(source, out);
}

constexpr Layout kCatSeg{"cat-seg", kCatSegNames, read_in_cat_seg};
constexpr Layout kTopLevel{"", kTopLevelNames, read_with_heads};
constexpr Layout kDetector{"detector", kDetectorNames, read_with_heads};

constexpr Refusal kResNet{
    .name = "CLIP with a ResNet tower",
    .told_by = "`visual.layer1.0.conv1.weight`",
    .why = "it is a CLIP with a ResNet vision tower",
    .instead =
        "a ViT tower is needed for dense features: take a ViT of the "
        "same series, such as ViT-B-16"};
constexpr Refusal kLongClip{
    .name = "Long-CLIP",
    .told_by = "`positional_embedding_res`",
    .why = "it is Long-CLIP, whose text tower has two tables of positions",
    .instead =
        "save its image tower alone and give text features of your own, "
        "or take a CLIP"};
const std::array kSignatures{
    Signature{.key = "vision_model.embeddings.*", .layout = &kHuggingFaceClip},
    Signature{.key = "vision_model.encoder.*", .layout = &kHuggingFaceClip},
    Signature{.key = "visual_projection.weight", .layout = &kHuggingFaceClip},
    Signature{.key = "embeddings.class_embedding",
              .layout = &kHuggingFaceVision},
    Signature{.key = "positional_embedding_res", .refusal = &kLongClip},
    Signature{.key = "text.positional_embedding_res", .refusal = &kLongClip},
    Signature{.key = "visual.trunk.blocks.#.attn.qkv.weight",
              .layout = &kTimmClip,
              .also = "visual.trunk.norm_pre.weight",
              .without = "visual.trunk.attn_pool.latent"},
    Signature{.key = "norm_pre.weight",
              .layout = &kTimmClipTower,
              .also = "norm.weight",
              .without = "attn_pool.latent"},
    Signature{.key = "visual.layer1.#.conv1.weight", .refusal = &kResNet},
    Signature{.key = "visual.transformer.resblocks.*",
              .layout = &kCustomText,
              .also = "text.*"},
    Signature{.key = "visual.transformer.resblocks.*", .layout = &kTopLevel},
    Signature{
        .key = "visual.conv1.weight", .layout = &kCustomText, .also = "text.*"},
    Signature{.key = "visual.conv1.weight", .layout = &kTopLevel},
    Signature{.key = "backbone.visual.layer1.#.conv1.weight",
              .refusal = &kResNet},
    Signature{.key = "backbone.visual.transformer.resblocks.*",
              .layout = &kDetector},
    Signature{.key = "backbone.visual.conv1.weight", .layout = &kDetector},
    Signature{.key = "sem_seg_head.predictor.clip_model.visual.transformer.*",
              .layout = &kCatSeg},
    Signature{.key = "layer1.#.conv1.weight", .refusal = &kResNet},
    Signature{.key = "class_embedding", .layout = &kBareTower},
    Signature{.key = "conv1.weight", .layout = &kBareTower},
};

void check_shapes(ShapeChecker& check, const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  check.need("visual.conv1.weight", {v.width, 3, v.patch, v.patch});
  check.need("visual.class_embedding", {v.width});
  check.need("visual.positional_embedding", {1 + v.grid * v.grid, v.width});
  if (v.norm_before_blocks) check.need_pair("visual.ln_pre", {v.width});
  check_clip_blocks(check, "visual.", v.layers, v.width, v.mlp_hidden);
  check.need_pair("visual.ln_post", {v.width});
  check.need("visual.proj", {v.width, v.embed_dim});
  check.allow("visual.proj_bias", {v.embed_dim});
}

int64_t stem_group(std::string_view name) {
  if (name == "visual.positional_embedding") return 1;
  if (name == "visual.conv1.weight" || name == "visual.class_embedding" ||
      name.starts_with("visual.ln_pre.")) {
    return 0;
  }
  return -1;
}

bool is_unused(std::string_view part, DenseMode) {
  return part.starts_with("ln_2.") || part.starts_with("mlp.") ||
         part.starts_with("ls_2.");
}

void make_initial(InitialWeights& out, const VisionConfig& v) {
  const auto root = [](int64_t x) { return std::sqrt(static_cast<double>(x)); };
  const double scale = 1 / root(v.width);
  out.normal("visual.conv1.weight",
             {v.width, 3, v.patch, v.patch},
             1 / root(3 * v.patch * v.patch));
  out.normal("visual.class_embedding", {v.width}, scale);
  out.normal(
      "visual.positional_embedding", {1 + v.grid * v.grid, v.width}, scale);
  out.norm("visual.ln_pre", v.width);
  initial_clip_blocks(out, "visual.", v.layers, v.width, v.mlp_hidden);
  out.norm("visual.ln_post", v.width);
  out.normal("visual.proj", {v.width, v.embed_dim}, scale);
}

// CLIPSelf's and DeCLIP's programs, whose optimizer goes by the model's name:
// these are its values for names with "vit".
constexpr TrainingSide kTraining{
    .block_prefix = "visual.transformer.resblocks.",
    .stem_groups = 2,
    .stem_group = stem_group,
    .is_unused = is_unused,
    .learns_logit_scale = false,
    .beta2 = 0.98,
    .epsilon = 1e-6,
    .exported_names = kTopLevelNames,
    .make_tower = make_plain_tower,
    .make_initial = make_initial,
    .head_multiple = 1,
};

}  // namespace
}  // namespace declip::clip_family

namespace declip {

const FamilySpec families::clip{
    .name = "clip",
    .title = "OpenAI, OpenCLIP, Hugging Face CLIP",
    .signatures = clip_family::kSignatures,
    .check_shapes = clip_family::check_shapes,
    .has_swiglu = [](const ModelConfig&) { return false; },
    .make_encoder = make_plain_encoder,
    .dense_modes = block_modes,
    .text = &kClipText,
    .training = &clip_family::kTraining,
};

}  // namespace declip

#include "families/pe.h"

#include <array>
#include <string>

#include "checkpoint/timm_config.h"
#include "checkpoint/tower_shapes.h"
#include "declip/error.h"
#include "declip/refusal.h"
#include "families/clip_config.h"
#include "families/clip_text.h"
#include "families/open_clip_config.h"
#include "families/open_clip_names.h"
#include "families/pe_encoder.h"
#include "families/timm_names.h"
#include "model/recipe.h"

namespace declip::pe_family {
namespace {

const std::string kPatches = "visual.conv1.weight";

// --- names ---

constexpr std::array kTimmEnds{
    KeyRule{"rope.*", "", Transform::kDrop},
    KeyRule{"patch_embed.proj.weight", "visual.conv1.weight"},
    KeyRule{"cls_token", "visual.class_embedding"},
    KeyRule{"pos_embed", "visual.positional_embedding"},
    KeyRule{"norm_pre.*", "visual.ln_pre.*"},
    KeyRule{"norm.*", "visual.ln_post.*"},
    KeyRule{"head.weight", "visual.proj", Transform::kTranspose},
    KeyRule{"head.bias", "visual.proj_bias"},
};
constexpr auto kTimmTower =
    joined(kTimmEnds, kTimmBlocks, kTimmPoolingHead, kRestOfTower);
constexpr auto kOpenClipNames =
    joined(Prefixed<kTimmTower, kTrunk>::kNames, kTextBesideTrunk);

// --- configuration ---

/// timm's tables have dimensions of length 1 in front.
void flatten(TowerTensors& weights, const std::string& name, int64_t rank) {
  const auto found = weights.tensors.find(name);
  if (found == weights.tensors.end()) return;
  at::Tensor& tensor = found->second;
  while (tensor.dim() > rank && tensor.size(0) == 1) tensor = tensor.squeeze(0);
}

VisionConfig read_vision(TowerTensors& weights) {
  VisionConfig v;
  read_patch_embedding(weights, kPatches, v);
  flatten(weights, "visual.class_embedding", 1);
  flatten(weights, "visual.positional_embedding", 2);
  v.class_token = weights.has("visual.class_embedding");
  read_grid(weights,
            "visual.positional_embedding",
            weights.need("visual.positional_embedding", 2).size(0),
            v);
  const std::string blocks = "visual.transformer.resblocks.";
  v.layers = weights.count_blocks(blocks);
  v.mlp_hidden = weights.need(blocks + "0.mlp.c_fc.weight", 2).size(0);
  v.embed_dim = weights.need("visual.proj", 2).size(1);
  if (v.embed_dim < 1) weights.reject("visual.proj", "must not be empty");
  v.activation = Activation::kGelu;
  return v;
}

PoolingHeadConfig read_head(const TowerTensors& weights,
                            const VisionConfig& v) {
  constexpr int64_t kHeads = 8;  // whatever the width
  const std::string probe = "visual.attn_pool.probe";
  PoolingHeadConfig head;
  head.heads = kHeads;
  head.mlp_hidden = weights.need("visual.attn_pool.mlp.c_fc.weight", 2).size(0);
  head.activation = v.activation;
  if (v.width % kHeads != 0) {
    weights.reject(probe,
                   "has width " + std::to_string(v.width) +
                       ", which the 8 heads of PE-Core's pooling head do not "
                       "divide");
  }
  return head;
}

/// Channels of a head in the published sizes: G is the exception.
int64_t usual_head_width(int64_t width) { return width == 1536 ? 96 : 64; }

void check_head_width(const TowerTensors& weights, const VisionConfig& v) {
  const int64_t head_width = v.width / v.heads;
  if (head_width % 4 == 0) return;
  weights.reject(kPatches,
                 "makes heads of " + std::to_string(head_width) +
                     " channels, and rotary positions turn multiples of 4; "
                     "give config.headWidth");
}

/// What no configuration says differently.
void read_towers(const CheckpointSource& source, ModelConfig& config) {
  config.vision = read_vision(source.weights);
  config.text = read_text_tower(source.weights);
  if (config.text) config.text->activation = Activation::kGelu;
  config.pixels = {{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}};
  config.preprocess.resize = Preprocess::Resize::kSquash;
  config.preprocess.bicubic = false;
  config.preprocess.crop = false;
}

/// Overrides, heads and the pooling head, and whether both towers end in one
/// space.
void complete(const CheckpointSource& source,
              const ToldOfTowers& told,
              Checkpoint& out) {
  const ConfigOverrides& overrides = source.overrides;
  ModelConfig& config = out.config;
  check_one_space(source.weights, config);
  set_heads(
      source, kPatches, usual_head_width(config.vision.width), told, config);
  if (overrides.activation) {
    config.vision.activation = *overrides.activation;
    if (config.text) config.text->activation = *overrides.activation;
  }
  if (config.text && overrides.text_activation) {
    config.text->activation = *overrides.text_activation;
  }
  check_head_width(source.weights, config.vision);
  config.pooling_head = read_head(source.weights, config.vision);
  if (const auto eps = overridden_epsilon(overrides)) {
    config.vision.layer_norm_eps = *eps;
    if (config.text) config.text->layer_norm_eps = *eps;
  }
  if (overrides.pixels) config.pixels = *overrides.pixels;
}

void read_authors(const CheckpointSource& source, Checkpoint& out) {
  read_towers(source, out.config);
  complete(source, {}, out);
  check_clip_vocabulary(source.weights, out.config);
  out.tokenizer = TokenizerKind::kOpenClip;
}

/// Channels of a head, which follow from the tower's name.
int64_t named_head_width(const std::string& model, const std::string& path) {
  if (!model.starts_with("vit_pe_core_")) {
    throw Error(ErrorCode::kWeights,
                path + ": the image tower is \"" + model +
                    "\", and the tensors beside it are those of PE-Core "
                    "(vit_pe_core_...).");
  }
  return model.find("_gigantic_") == std::string::npos ? 64 : 96;
}

void read_open_clip(const CheckpointSource& source, Checkpoint& out) {
  ModelConfig& config = out.config;
  read_towers(source, config);
  ToldOfTowers towers;
  const auto told =
      read_open_clip_config(source.files.folder, ImageTower::kTimm);
  if (told) {
    if (told->timm) {
      towers.head_width = named_head_width(told->timm->model, told->path);
    }
    towers.text_heads = told->text_heads;
    apply(*told, config);
  }
  complete(source, towers, out);
  check_clip_vocabulary(source.weights, config);
  out.tokenizer = told ? told->tokenizer : TokenizerKind::kOpenClip;
}

void read_timm(const CheckpointSource& source, Checkpoint& out) {
  ModelConfig& config = out.config;
  read_towers(source, config);
  ToldOfTowers towers;
  if (const auto told = read_timm_config(source.files.folder, config.pixels)) {
    towers.head_width = named_head_width(told->architecture, told->path);
    config.pixels = told->pixels;
    config.preprocess = told->preprocess;
  }
  complete(source, towers, out);
  out.tokenizer = TokenizerKind::kOpenClip;
}

constexpr Layout kAuthors{"original", kTopLevelNames, read_authors};
constexpr Layout kAuthorsBare{"original", kBareTowerNames, read_authors};
constexpr Layout kOpenClip{"open_clip", kOpenClipNames, read_open_clip};
constexpr Layout kTimm{"timm", kTimmTower, read_timm};

constexpr Refusal kNoTextSpace{
    .name = "PE-Spatial, PE-Lang",
    .told_by = "`visual.ln_pre.weight` without `visual.ln_post.weight`",
    .why =
        "it is PE-Spatial or PE-Lang, Perception Encoders without a text space "
        "that are not among the teachers DINO, DINOv2, DINOv3 and SAM",
    .instead = "take PE-Core of the same size"};

// Other Perception Encoders have no final norm.
constexpr std::array kSignatures{
    Signature{.key = "visual.attn_pool.probe", .layout = &kAuthors},
    Signature{.key = "visual.trunk.attn_pool.latent",
              .layout = &kOpenClip,
              .also = "visual.trunk.norm_pre.weight"},
    Signature{.key = "attn_pool.probe", .layout = &kAuthorsBare},
    Signature{
        .key = "attn_pool.latent", .layout = &kTimm, .also = "norm_pre.weight"},
    Signature{.key = "visual.ln_pre.weight",
              .refusal = &kNoTextSpace,
              .also = "visual.transformer.resblocks.#.ln_1.weight",
              .without = "visual.ln_post.*"},
    Signature{.key = "ln_pre.weight",
              .refusal = &kNoTextSpace,
              .also = "transformer.resblocks.#.ln_1.weight",
              .without = "ln_post.*"},
    Signature{.key = "norm_pre.weight",
              .refusal = &kNoTextSpace,
              .also = "blocks.#.attn.qkv.weight",
              .without = "*norm.weight"},
};

void check_shapes(ShapeChecker& check, const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  const int64_t prefix = v.class_token ? 1 : 0;
  check.need("visual.conv1.weight", {v.width, 3, v.patch, v.patch});
  if (v.class_token) check.need("visual.class_embedding", {v.width});
  check.need("visual.positional_embedding",
             {prefix + v.grid * v.grid, v.width});
  check.need_pair("visual.ln_pre", {v.width});
  check_clip_blocks(check, "visual.", v.layers, v.width, v.mlp_hidden);
  check.need_pair("visual.ln_post", {v.width});
  check_pooling_head(check, v.width, config.pooling_head->mlp_hidden);
  check.need("visual.proj", {v.width, v.embed_dim});
  check.allow("visual.proj_bias", {v.embed_dim});
}

std::unique_ptr<VisionEncoder> make_encoder(const ModelConfig& config,
                                            const Weights& weights,
                                            const Numerics& numerics) {
  return std::make_unique<PeCore>(config, weights, numerics);
}

}  // namespace
}  // namespace declip::pe_family

namespace declip {

const FamilySpec families::pe{
    .name = "pe",
    .title = "PE-Core",
    .signatures = pe_family::kSignatures,
    .check_shapes = pe_family::check_shapes,
    .has_swiglu = [](const ModelConfig&) { return false; },
    .make_encoder = pe_family::make_encoder,
    .dense_modes = head_modes,
    .text = &kClipText,
};

}  // namespace declip

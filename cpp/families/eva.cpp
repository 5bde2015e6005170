#include "families/eva.h"

#include <array>
#include <cmath>
#include <optional>
#include <string>

#include "cat_seg/cat_seg_file.h"
#include "checkpoint/timm_config.h"
#include "checkpoint/tower_shapes.h"
#include "declip/error.h"
#include "detect/detector_file.h"
#include "families/clip_config.h"
#include "families/clip_text.h"
#include "families/initial_weights.h"
#include "families/open_clip_config.h"
#include "families/open_clip_names.h"
#include "families/timm_names.h"
#include "files/text.h"
#include "model/clip_encoder.h"
#include "model/recipe.h"

namespace declip::eva_family {
namespace {

const std::string kPatches = "visual.patch_embed.proj.weight";

constexpr double kLayerNormEps = 1e-6;

// --- names ---

// timm's eva.py, which has EVA01 too.
constexpr std::array kTimmNames{
    KeyRule{"blocks.#.attn.q_proj.bias", "visual.blocks.#.attn.q_bias"},
    KeyRule{"blocks.#.attn.v_proj.bias", "visual.blocks.#.attn.v_bias"},
    KeyRule{"blocks.#.attn.norm.*", "visual.blocks.#.attn.inner_attn_ln.*"},
    KeyRule{"blocks.#.mlp.fc1_g.*", "visual.blocks.#.mlp.w1.*"},
    KeyRule{"blocks.#.mlp.fc1_x.*", "visual.blocks.#.mlp.w2.*"},
    KeyRule{"blocks.#.mlp.norm.*", "visual.blocks.#.mlp.ffn_ln.*"},
    KeyRule{"blocks.#.mlp.fc2.*", "visual.blocks.#.mlp.w3.*"},
    KeyRule{"*", "visual.*"},
};
constexpr auto kTimmTrunkNames =
    joined(Prefixed<kTimmNames, kTrunk>::kNames, kTextBesideTrunk);

// --- configuration ---

VisionConfig read_vision(const TowerTensors& weights) {
  VisionConfig v;
  read_patch_embedding(weights, kPatches, v);
  read_grid(weights,
            "visual.pos_embed",
            weights.need("visual.pos_embed", 3).size(1),
            v);
  v.layers = weights.count_blocks("visual.blocks.");
  v.mlp_hidden = weights.need("visual.blocks.0.mlp.w1.weight", 2).size(0);
  v.embed_dim = weights.need("visual.head.weight", 2).size(0);
  if (v.embed_dim < 1)
    weights.reject("visual.head.weight", "must not be empty");
  v.layer_norm_eps = kLayerNormEps;
  return v;
}

/// The image embedding is the class token's.
void check_pooling(const std::string& pool,
                   const std::string& path,
                   const std::string& field) {
  if (pool == "token") return;
  throw Error(ErrorCode::kWeights,
              path + ": " + in_quotes(field) + " is " + in_quotes(pool) +
                  ", and the image embedding of an EVA02-CLIP is made of its "
                  "class token (\"token\").");
}

std::string format_of(const CheckpointSource& source) {
  if (source.files.torchscript) return "openai-jit";
  const std::string format(source.layout.format);
  return source.files.trainer && format == "eva-clip" ? "trainer" : format;
}

/// Channels of a head, of the rotary tables that the authors' files store: one
/// row a place, as wide as a head.
std::optional<int64_t> width_of_rotary_tables(const CheckpointSource& source) {
  for (const auto& [key, tensor] : source.files.tensors) {
    if (key.ends_with("rope.freqs_cos") && tensor.dim() == 2 &&
        tensor.size(1) > 0) {
      return tensor.size(1);
    }
  }
  return std::nullopt;
}

void read_told(const CheckpointSource& source,
               const std::optional<OpenClipConfig>& told,
               std::optional<int64_t> head_width,
               Checkpoint& out) {
  const ConfigOverrides& overrides = source.overrides;
  ModelConfig& config = out.config;
  config.vision = read_vision(source.weights);
  config.text = read_text_tower(source.weights);
  if (config.text) config.text->activation = Activation::kGelu;
  ToldOfTowers towers;
  towers.head_width = head_width ? head_width : width_of_rotary_tables(source);
  if (told) {
    towers.text_heads = told->text_heads;
    if (config.text) config.text->activation = told->activation;
    apply(*told, config);
    // `norm_kwargs` does not reach a tower of timm's.
    if (told->timm) config.vision.layer_norm_eps = kLayerNormEps;
  }
  check_one_space(source.weights, config);
  set_heads(source, kPatches, kUsualHeadWidth, towers, config);
  if (overrides.activation) {
    out.notes.emplace_back(
        "config.activation ignored: an EVA02 vision tower always has SwiGLU");
  }
  if (config.text && overrides.text_activation) {
    config.text->activation = *overrides.text_activation;
  }
  // The two towers differ; the option speaks of the vision tower.
  if (const auto eps = overridden_epsilon(overrides)) {
    config.vision.layer_norm_eps = *eps;
  }
  if (overrides.pixels) config.pixels = *overrides.pixels;
  check_clip_vocabulary(source.weights, config);
  out.format = format_of(source);
  out.tokenizer = TokenizerKind::kOpenAi;
}

void read(const CheckpointSource& source, Checkpoint& out) {
  const auto told = read_open_clip_config(source.files.folder);
  read_told(source, told, told ? told->head_width : std::nullopt, out);
}

/// open_clip's, whose towers of timm's know no `head_width`.
void read_trunk(const CheckpointSource& source, Checkpoint& out) {
  const auto told =
      read_open_clip_config(source.files.folder, ImageTower::kTimm);
  if (told && told->timm) {
    check_pooling(told->timm->pool, told->path, "timm_pool");
  }
  read_told(source, told, std::nullopt, out);
  out.tokenizer = TokenizerKind::kOpenClip;
}

/// The tower by itself, in one of timm's repositories.
void read_timm(const CheckpointSource& source, Checkpoint& out) {
  const auto told = read_timm_config(source.files.folder, PixelStats());
  read_told(source, std::nullopt, std::nullopt, out);
  if (!told) return;
  if (!told->global_pool.empty()) {
    check_pooling(told->global_pool, told->path, "global_pool");
  }
  out.config.preprocess = told->preprocess;
  if (!source.overrides.pixels) out.config.pixels = told->pixels;
}

constexpr Layout kTopLevel{"eva-clip", kTopLevelNames, read};
constexpr Layout kCustomText{"eva-clip", kCustomTextNames, read};
constexpr Layout kBareTower{"eva-clip", kBareTowerNames, read};
/// A tower with F-ViT's heads on it.
void read_with_heads(const CheckpointSource& source, Checkpoint& out) {
  read(source, out);
  read_detector(source, out);
}

/// Fine-tuned inside a CAT-Seg (DeCLIP's branch).
void read_in_cat_seg(const CheckpointSource& source, Checkpoint& out) {
  read(source, out);
  read_cat_seg(source, out);
}

constexpr Layout kCatSeg{"cat-seg", kCatSegEvaNames, read_in_cat_seg};
constexpr Layout kDetector{"detector", kDetectorNames, read_with_heads};

constexpr Layout kTimmTrunk{"open_clip", kTimmTrunkNames, read_trunk};
constexpr Layout kTimm{"timm", kTimmNames, read_timm};

constexpr Refusal kTimmDetector{
    .name = "Detectors on timm's towers",
    .told_by = "`backbone.visual.trunk.*`",
    .why =
        "it is a detector whose vision tower has timm's layout "
        "(backbone.visual.trunk.*)",
    .instead = "F-ViT's detectors, in the EVA-CLIP layout, are supported"};
constexpr Refusal kEva01{
    .name = "EVA01-CLIP, EVA02-CLIP-E",
    .told_by =
        "`visual.blocks.0.attn.qkv.weight`, "
        "`visual.trunk.blocks.0.attn.q_bias`",
    .why =
        "it is EVA01-CLIP or EVA02-CLIP-E, which have no sub-LayerNorm, "
        "SwiGLU or rotary positions",
    .instead = "of the EVA family EVA02-CLIP B and L are supported"};
constexpr Refusal kNoClip{
    .name = "EVA02 that is not CLIP's",
    .told_by =
        "`blocks.0.attn.q_proj.weight` and `blocks.0.mlp.fc1_g.weight` "
        "without `blocks.0.attn.norm.weight`",
    .why =
        "it is an EVA02 tower that is none of CLIP's (pretrained on masked "
        "images, or a classifier) and has no text space",
    .instead = "of the EVA family EVA02-CLIP B and L are supported"};

constexpr std::array kSignatures{
    Signature{.key = "visual.trunk.blocks.#.attn.norm.weight",
              .layout = &kTimmTrunk,
              .also = "visual.trunk.blocks.#.mlp.fc1_g.weight"},
    Signature{.key = "visual.trunk.blocks.#.attn.q_bias", .refusal = &kEva01},
    Signature{.key = "visual.blocks.#.attn.q_proj.weight",
              .layout = &kCustomText,
              .also = "text.*"},
    Signature{.key = "visual.blocks.#.attn.q_proj.weight",
              .layout = &kTopLevel},
    Signature{.key = "visual.blocks.#.mlp.w1.weight",
              .layout = &kCustomText,
              .also = "text.*"},
    Signature{.key = "visual.blocks.#.mlp.w1.weight", .layout = &kTopLevel},
    Signature{.key = "visual.blocks.#.attn.qkv.weight", .refusal = &kEva01},
    Signature{.key = "visual.blocks.#.mlp.fc1.weight", .refusal = &kEva01},
    Signature{.key = "backbone.visual.trunk.*", .refusal = &kTimmDetector},
    Signature{.key = "backbone.visual.blocks.#.attn.q_proj.weight",
              .layout = &kDetector},
    Signature{.key = "backbone.visual.blocks.#.mlp.w1.weight",
              .layout = &kDetector},
    Signature{.key = "backbone.visual.blocks.#.*", .refusal = &kEva01},
    Signature{.key = "sem_seg_head.predictor.clip_model.visual.blocks.#.*",
              .layout = &kCatSeg},
    Signature{.key = "blocks.#.attn.norm.weight",
              .layout = &kTimm,
              .also = "blocks.#.mlp.fc1_g.weight"},
    Signature{.key = "blocks.#.attn.q_proj.weight",
              .refusal = &kNoClip,
              .also = "blocks.#.mlp.fc1_g.weight"},
    Signature{.key = "blocks.#.attn.q_proj.weight", .layout = &kBareTower},
};

void check_shapes(ShapeChecker& check, const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  check.need("visual.cls_token", {1, 1, v.width});
  check.need("visual.pos_embed", {1, 1 + v.grid * v.grid, v.width});
  check.need("visual.patch_embed.proj.weight", {v.width, 3, v.patch, v.patch});
  check.need("visual.patch_embed.proj.bias", {v.width});
  for (int64_t i = 0; i < v.layers; ++i) {
    const std::string block = "visual.blocks." + std::to_string(i) + ".";
    check.need_pair(block + "norm1", {v.width});
    check.need(block + "attn.q_proj.weight", {v.width, v.width});
    check.need(block + "attn.k_proj.weight", {v.width, v.width});
    check.need(block + "attn.v_proj.weight", {v.width, v.width});
    check.need(block + "attn.q_bias", {v.width});
    check.need(block + "attn.v_bias", {v.width});
    check.need_pair(block + "attn.inner_attn_ln", {v.width});
    check.need_pair(block + "attn.proj", {v.width, v.width});
    check.need_pair(block + "norm2", {v.width});
    check.need_pair(block + "mlp.w1", {v.mlp_hidden, v.width});
    check.need_pair(block + "mlp.w2", {v.mlp_hidden, v.width});
    check.need_pair(block + "mlp.ffn_ln", {v.mlp_hidden});
    check.need_pair(block + "mlp.w3", {v.width, v.mlp_hidden});
  }
  check.need_pair("visual.norm", {v.width});
  check.need_pair("visual.head", {v.embed_dim, v.width});
}

int64_t stem_group(std::string_view) { return -1; }

bool is_unused(std::string_view part, DenseMode mode) {
  if (part.starts_with("norm2.") || part.starts_with("mlp.")) return true;
  if (mode == DenseMode::kQq) return part == "attn.k_proj.weight";
  if (mode == DenseMode::kKk) {
    return part == "attn.q_proj.weight" || part == "attn.q_bias";
  }
  return false;
}

void make_initial(InitialWeights& out, const VisionConfig& v) {
  constexpr double kStd = 0.02;
  const auto root = [](int64_t x) { return std::sqrt(static_cast<double>(x)); };
  const int64_t c = v.width;
  out.normal("visual.cls_token", {1, 1, c}, kStd);
  out.normal("visual.pos_embed", {1, 1 + v.grid * v.grid, c}, kStd);
  out.normal("visual.patch_embed.proj.weight",
             {c, 3, v.patch, v.patch},
             1 / root(3 * v.patch * v.patch));
  out.zeros("visual.patch_embed.proj.bias", {c});
  for (int64_t i = 0; i < v.layers; ++i) {
    const auto block = "visual.blocks." + std::to_string(i);
    const double branch = kStd / root(2 * (i + 1));
    out.norm(block + ".norm1", c);
    for (const char* part : {"q", "k", "v"}) {
      out.normal(block + ".attn." + part + "_proj.weight", {c, c}, kStd);
    }
    out.zeros(block + ".attn.q_bias", {c});
    out.zeros(block + ".attn.v_bias", {c});
    out.norm(block + ".attn.inner_attn_ln", c);
    out.linear(block + ".attn.proj", c, c, branch);
    out.norm(block + ".norm2", c);
    out.linear(block + ".mlp.w1", v.mlp_hidden, c, kStd);
    out.linear(block + ".mlp.w2", v.mlp_hidden, c, kStd);
    out.norm(block + ".mlp.ffn_ln", v.mlp_hidden);
    out.linear(block + ".mlp.w3", c, v.mlp_hidden, branch);
  }
  out.norm("visual.norm", c);
  out.linear("visual.head", v.embed_dim, c, kStd);
}

// The optimizer of DeCLIP's and CLIPSelf's programs for names without "vit".
constexpr TrainingSide kTraining{
    .block_prefix = "visual.blocks.",
    .stem_groups = 0,
    .stem_group = stem_group,
    .is_unused = is_unused,
    .learns_logit_scale = true,
    .beta2 = 0.999,
    .epsilon = 1e-8,
    .exported_names = kCustomTextNames,
    .make_tower = make_eva_tower,
    .make_initial = make_initial,
    .head_multiple = 4,  // two axes of rotated pairs
};

}  // namespace
}  // namespace declip::eva_family

namespace declip {

const FamilySpec families::eva{
    .name = "eva",
    .title = "EVA02-CLIP",
    .signatures = eva_family::kSignatures,
    .check_shapes = eva_family::check_shapes,
    .has_swiglu = [](const ModelConfig&) { return true; },
    .make_encoder = make_eva_encoder,
    .dense_modes = block_modes,
    .text = &kClipText,
    .training = &eva_family::kTraining,
};

}  // namespace declip

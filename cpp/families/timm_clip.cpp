#include "families/timm_clip.h"

#include <ATen/ops/eye.h>

#include <array>
#include <string>

#include "checkpoint/timm_config.h"
#include "declip/error.h"
#include "families/clip_config.h"
#include "families/open_clip_config.h"
#include "families/open_clip_names.h"
#include "families/timm_names.h"

namespace declip::timm_clip {
namespace {

// timm's vision_transformer.py with pre_norm; open_clip's timm_model.py puts a
// projection of its own behind some.
constexpr std::array kEnds{
    KeyRule{"cls_token", "visual.class_embedding"},
    KeyRule{"pos_embed", "visual.positional_embedding"},
    KeyRule{"patch_embed.proj.weight", "visual.conv1.weight"},
    KeyRule{"norm_pre.*", "visual.ln_pre.*"},
    KeyRule{"norm.*", "visual.ln_post.*"},
    KeyRule{"fc_norm.*", "visual.ln_post.*"},
    KeyRule{"head.weight", "visual.proj", Transform::kTranspose},
    KeyRule{"head.bias", "visual.proj_bias"},
};
constexpr std::array kProjection{
    KeyRule{"visual.head.proj.weight", "visual.proj", Transform::kTranspose},
    KeyRule{"visual.head.proj.bias", "visual.proj_bias"},
};
constexpr auto kNames = joined(Prefixed<kEnds, kTrunk>::kNames,
                               Prefixed<kTimmBlocks, kTrunk>::kNames,
                               kProjection,
                               kCustomTextNames);
constexpr auto kTowerNames = joined(kEnds, kTimmBlocks, kRestOfTower);

/// timm keeps tokens and positions in batches of one.
void take_from_batch(TowerTensors& weights) {
  const auto row = weights.tensors.find("visual.class_embedding");
  if (row != weights.tensors.end()) row->second = row->second.flatten();
  const auto table = weights.tensors.find("visual.positional_embedding");
  if (table != weights.tensors.end() && table->second.dim() == 3) {
    table->second = table->second.flatten(0, 1);
  }
}

[[noreturn]] void refuse(const std::string& path,
                         const std::string& field,
                         const std::string& value,
                         const std::string& why) {
  throw Error(ErrorCode::kWeights,
              path + ": \"" + field + "\" is \"" + value + "\", " + why + ".");
}

/// Plain ViTs of CLIP's kind have its norms and are GELU unless their name says
/// otherwise.
Activation named_activation(const std::string& model,
                            const std::string& path,
                            const std::string& field) {
  if (!model.starts_with("vit_") || model.find("_clip_") == std::string::npos) {
    refuse(path,
           field,
           model,
           "which is no plain ViT of CLIP's kind (vit_..._clip_...)");
  }
  return model.find("quickgelu") == std::string::npos ? Activation::kGelu
                                                      : Activation::kQuickGelu;
}

/// What the name and the fields beside it say.
void read_tower(const OpenClipConfig& told,
                bool norm_after_mean,
                TowerTensors& weights,
                VisionConfig& v) {
  const TimmTower& timm = *told.timm;
  v.activation = named_activation(timm.model, told.path, "timm_model_name");
  if (timm.pool == "avg") {
    v.mean_of_patches = true;
    v.norm_after_mean = norm_after_mean;
  } else if (timm.pool != "token" && !timm.pool.empty()) {
    refuse(told.path,
           "timm_pool",
           timm.pool,
           "and this package pools such a tower at its class token or by the "
           "mean of its patches");
  }
  if (timm.proj == "mlp") {
    refuse(told.path,
           "timm_proj",
           timm.proj,
           "and this package has one linear layer there, or none");
  }
  if (timm.proj == "none" && !weights.has("visual.proj")) {
    weights.tensors.emplace(
        "visual.proj",
        at::eye(v.width, weights.need("visual.ln_post.weight", 1).options()));
  }
}

void read(const CheckpointSource& source, Checkpoint& out) {
  TowerTensors& weights = source.weights;
  const auto told =
      read_open_clip_config(source.files.folder, ImageTower::kTimm);
  take_from_batch(weights);
  ModelConfig& config = out.config;
  VisionConfig v;
  v.activation = Activation::kGelu;
  ToldOfTowers towers;
  towers.activation = true;
  if (told && told->timm) {
    v.width = weights.need("visual.conv1.weight", 4).size(0);
    // A tower that was made with the mean in mind has a norm of its own for it.
    const bool own_norm =
        source.files.tensors.contains("visual.trunk.fc_norm.weight");
    read_tower(*told, own_norm, weights, v);
  } else {
    out.notes.emplace_back(
        "no open_clip_config.json beside the weights: the image tower is taken "
        "for one with GELU that is pooled at its class token, the text tower "
        "for a causal one");
  }
  const VisionConfig sizes = read_clip_vision(weights);
  config.vision = sizes;
  config.vision.activation = v.activation;
  config.vision.mean_of_patches = v.mean_of_patches;
  config.vision.norm_after_mean = v.norm_after_mean;
  config.text = read_text_tower(weights, !told || told->text_projection);
  if (config.text) config.text->activation = Activation::kGelu;
  if (told) {
    towers.text_heads = told->text_heads;
    apply(*told, config);
    out.tokenizer = told->tokenizer;
  } else {
    out.tokenizer = TokenizerKind::kOpenClip;
  }
  complete_clip_config(source, towers, out);
  if (is_clips(out.tokenizer)) check_clip_vocabulary(weights, config);
}

/// The tower by itself, in one of timm's repositories.
void read_tower_alone(const CheckpointSource& source, Checkpoint& out) {
  TowerTensors& weights = source.weights;
  take_from_batch(weights);
  ModelConfig& config = out.config;
  ToldOfTowers towers;
  towers.activation = true;
  const auto told = read_timm_config(source.files.folder, config.pixels);
  if (!weights.has("visual.proj")) {
    out.notes.emplace_back(
        "no head.weight: features are those of the image tower before CLIP's "
        "projection, which no text shares");
    weights.tensors.emplace(
        "visual.proj",
        at::eye(weights.need("visual.conv1.weight", 4).size(0),
                weights.need("visual.ln_post.weight", 1).options()));
  }
  config.vision = read_clip_vision(weights);
  config.vision.activation = Activation::kGelu;
  if (told) {
    config.vision.activation =
        named_activation(told->architecture, told->path, "architecture");
    if (told->tag.find("_ft_") != std::string::npos) {
      refuse(told->path,
             "tag",
             told->tag,
             "an image classifier made of a CLIP, whose head knows its own "
             "classes only; take the CLIP that it was made from");
    }
    if (!told->global_pool.empty() && told->global_pool != "token") {
      refuse(told->path,
             "global_pool",
             told->global_pool,
             "and CLIP's image embedding is made of the class token");
    }
    config.pixels = told->pixels;
    config.preprocess = told->preprocess;
  } else {
    out.notes.emplace_back(
        "no config.json beside the weights: the tower is taken for one with "
        "GELU, and its head for CLIP's projection");
  }
  complete_clip_config(source, towers, out);
}

}  // namespace
}  // namespace declip::timm_clip

namespace declip {

const Layout kTimmClip{"open_clip", timm_clip::kNames, timm_clip::read};
const Layout kTimmClipTower{
    "timm", timm_clip::kTowerNames, timm_clip::read_tower_alone};

}  // namespace declip

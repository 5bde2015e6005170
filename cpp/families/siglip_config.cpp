#include "families/siglip_config.h"

#include <string>

#include "families/clip_config.h"
#include "families/foundation_config.h"

namespace declip {
namespace {

const std::string kPatches = "visual.conv1.weight";
const std::string kPositions = "visual.positional_embedding";

}  // namespace

Preprocess siglip_preprocess(bool bicubic) {
  Preprocess out;
  out.resize = Preprocess::Resize::kSquash;
  out.crop = false;
  out.bicubic = bicubic;
  return out;
}

Preprocess naflex_preprocess(int64_t patch) {
  Preprocess out = siglip_preprocess(/*bicubic=*/false);
  out.resize = Preprocess::Resize::kPatches;
  out.max_patches = 256;
  out.patch_side = patch;
  return out;
}

VisionConfig read_siglip_vision(const TowerTensors& weights) {
  VisionConfig v;
  read_patch_embedding(weights, kPatches, v);
  const int64_t rows = weights.need(kPositions, 2).size(0);
  v.grid = square_side(rows);
  if (v.grid < 1) {
    weights.reject(kPositions,
                   "must have grid * grid rows (a square grid, no class "
                   "token), found " +
                       std::to_string(rows));
  }
  v.image_size = v.grid * v.patch;
  v.layers = weights.count_blocks("visual.transformer.resblocks.");
  v.mlp_hidden =
      weights.need("visual.transformer.resblocks.0.mlp.c_fc.weight", 2).size(0);
  v.embed_dim = v.width;
  v.activation = Activation::kGeluTanh;
  v.layer_norm_eps = kSiglipEpsilon;
  v.class_token = false;
  return v;
}

std::optional<TextConfig> read_siglip_text(const TowerTensors& weights) {
  if (!has_text_tower(weights)) return std::nullopt;
  TextConfig t;
  const at::Tensor& tokens = weights.need("text.token_embedding.weight", 2);
  t.vocab = tokens.size(0);
  t.width = tokens.size(1);
  if (tokens.numel() == 0) {
    weights.reject("text.token_embedding.weight", "must not be empty");
  }
  t.context = weights.need("text.positional_embedding", 2).size(0);
  if (t.context < 1) {
    weights.reject("text.positional_embedding", "must not be empty");
  }
  t.layers = weights.count_blocks("text.transformer.resblocks.");
  t.embed_dim = weights.has("text.text_projection")
                    ? weights.need("text.text_projection", 2).size(1)
                    : t.width;
  t.activation = Activation::kGeluTanh;
  t.layer_norm_eps = kSiglipEpsilon;
  t.pool = TextPool::kLast;
  t.causal = false;
  return t;
}

int64_t siglip_head_width(int64_t width) {
  switch (width) {
    case 1152:
      return 72;
    case 1536:
      return 96;
    default:
      return kUsualHeadWidth;
  }
}

void complete_siglip_config(const CheckpointSource& source,
                            std::optional<int64_t> head_width,
                            std::optional<int64_t> text_heads,
                            bool activation_told,
                            Checkpoint& out) {
  ModelConfig& config = out.config;
  VisionConfig& v = config.vision;
  const ConfigOverrides& overrides = source.overrides;
  check_one_space(source.weights, config);
  if (config.text && config.text->heads == 0 && !text_heads) {
    text_heads = config.text->width / siglip_head_width(config.text->width);
  }
  ToldOfTowers told;
  told.head_width = head_width;
  told.text_heads = text_heads;
  set_heads(source, kPatches, siglip_head_width(v.width), told, config);
  if (overrides.activation) {
    v.activation = *overrides.activation;
    if (config.text) config.text->activation = *overrides.activation;
  } else if (!activation_told) {
    out.notes.emplace_back(
        "activation assumed gelu_tanh; weights do not tell it");
  }
  if (config.text && overrides.text_activation) {
    config.text->activation = *overrides.text_activation;
  }
  if (const auto eps = overridden_epsilon(overrides)) {
    v.layer_norm_eps = *eps;
    if (config.text) config.text->layer_norm_eps = *eps;
  }
  if (overrides.pixels) config.pixels = *overrides.pixels;
  config.pooling_head = PoolingHeadConfig{
      v.heads,
      source.weights.need("visual.attn_pool.mlp.c_fc.weight", 2).size(0),
      v.activation};
}

}  // namespace declip

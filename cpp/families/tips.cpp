#include "families/tips.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <optional>
#include <string>

#include "checkpoint/processor_config.h"
#include "families/clip_config.h"
#include "families/clip_text.h"
#include "families/foundation_config.h"
#include "families/tips_config.h"
#include "families/tips_encoder.h"

namespace declip::tips_family {
namespace {

// --- names: google-deepmind/tips, which transformers' files keep ---

constexpr std::array kText{KeyRule{"text_encoder.*", "text.*"}};
// The MLP is called as the authors' code has it, or as transformers writes it.
constexpr std::array kVision{
    KeyRule{"vision_encoder.mask_token", "", Transform::kDrop},
    KeyRule{"vision_encoder.blocks.#.mlp.c_fc.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"vision_encoder.blocks.#.mlp.c_proj.*",
            "visual.blocks.#.mlp.fc2.*"},
    KeyRule{"vision_encoder.blocks.#.mlp.w12.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"vision_encoder.blocks.#.mlp.w3.*", "visual.blocks.#.mlp.fc2.*"},
    KeyRule{"vision_encoder.*", "visual.*"},
};

constexpr auto kWholeNames = joined(kText, kVision);

/// The image tower's names alone.
constexpr auto bare() {
  constexpr std::string_view kPrefix = "vision_encoder.";
  auto rules = kVision;
  for (KeyRule& rule : rules) rule.source.remove_prefix(kPrefix.size());
  return rules;
}
constexpr auto kBareNames = bare();

// --- configuration ---

const std::string kPatches = "visual.patch_embed.proj.weight";
constexpr PixelStats kAsTheyAre{{0, 0, 0}, {1, 1, 1}};

/// Heads of towers that no configuration speaks of, where their channels are
/// not the usual 64: So400m's, which both have 16.
std::optional<int64_t> unusual_heads(int64_t width) {
  if (width == 1152) return 16;
  return std::nullopt;
}

/// [L, C], sin in the first half of the channels and cos in the second, not
/// stored in any file.
at::Tensor text_positions(int64_t context, int64_t width) {
  const int64_t half = width / 2;
  const double step =
      half > 1 ? std::log(10000.0) / static_cast<double>(half - 1) : 0;
  const auto angles = at::outer(at::arange(context, at::kDouble),
                                (at::arange(half, at::kDouble) * -step).exp());
  auto table = at::cat({angles.sin(), angles.cos()}, 1);
  if (width % 2 == 1) table = at::constant_pad_nd(table, {0, 1}, 0);
  return table.to(at::kFloat);
}

TextConfig read_text(const TowerTensors& weights, const TipsConfig& told) {
  const std::string name = "text.token_embedding.weight";
  const at::Tensor& tokens = weights.need(name, 2);
  TextConfig t;
  t.vocab = tokens.size(0);
  t.width = tokens.size(1);
  if (t.vocab < 1 || t.width < 1) weights.reject(name, "must not be empty");
  t.context = told.context;
  t.layers = weights.count_blocks("text.transformer.resblocks.");
  t.embed_dim = t.width;
  t.activation = Activation::kRelu;
  t.layer_norm_eps = told.text_eps;
  t.pool = TextPool::kMean;
  t.causal = false;
  t.pad_token = told.pad_token;
  if (told.scaled_embedding) {
    t.embedding_scale = std::sqrt(static_cast<double>(t.width));
  }
  return t;
}

void read_preprocess(const CheckpointSource& source, ModelConfig& config) {
  config.pixels = kAsTheyAre;
  config.preprocess.resize = Preprocess::Resize::kSquash;
  config.preprocess.bicubic = false;
  config.preprocess.crop = false;
  if (const auto processor =
          read_processor_config(source.files.folder, kAsTheyAre)) {
    config.pixels = processor->pixels;
    config.preprocess = processor->preprocess;
  }
  if (source.overrides.pixels) config.pixels = *source.overrides.pixels;
}

void read(const CheckpointSource& source, Checkpoint& out) {
  TowerTensors& weights = source.weights;
  ModelConfig& config = out.config;
  const TipsConfig told = read_tips_config(source.files.folder, out.notes);

  const std::string registers = "visual.register_tokens";
  config.foundation.registers = weights.need(registers, 3).size(1);
  if (config.foundation.registers < 1) {
    weights.reject(registers, "must not be empty");
  }
  read_foundation_blocks(weights, /*may_be_gated=*/true, config);
  FoundationFields fields;
  fields.heads = told.vision_heads ? told.vision_heads
                                   : unusual_heads(config.vision.width);
  fields.layer_norm_eps = told.vision_eps;
  complete_dino_config(source, fields, out);
  read_preprocess(source, config);

  if (has_text_tower(weights)) {
    config.text = read_text(weights, told);
    if (source.overrides.text_activation) {
      config.text->activation = *source.overrides.text_activation;
    }
    ToldOfTowers towers;
    towers.text_heads =
        told.text_heads ? told.text_heads : unusual_heads(config.text->width);
    set_heads(source, kPatches, kUsualHeadWidth, towers, config);
    if (config.text->embed_dim != config.vision.embed_dim) {
      weights.reject("text.token_embedding.weight",
                     "must be as wide as the vision tower, " +
                         std::to_string(config.vision.embed_dim) + ", found " +
                         std::to_string(config.text->embed_dim));
    }
    weights.tensors.emplace(
        "text.positional_embedding",
        text_positions(config.text->context, config.text->width));
    weights.tensors.emplace(
        "logit_scale",
        at::scalar_tensor(-std::log(told.temperature), at::kDouble));
  }
  if (source.overrides.activation) {
    out.notes.emplace_back(
        "config.activation ignored: TIPSv2's vision tower has its own");
  }
  out.format = told.found ? "huggingface" : std::string(source.layout.format);
  out.tokenizer = TokenizerKind::kTips;
}

constexpr Layout kWhole{"original", kWholeNames, read};
constexpr Layout kBareTower{"original", kBareNames, read};

constexpr std::array kSignatures{
    Signature{.key = "text_encoder.token_embedding.weight",
              .layout = &kWhole,
              .also = "vision_encoder.blocks.#.attn.qkv.weight"},
    Signature{.key = "vision_encoder.blocks.#.mlp.c_fc.weight",
              .layout = &kWhole},
    Signature{.key = "blocks.#.mlp.c_fc.weight", .layout = &kBareTower},
};

void check_shapes(ShapeChecker& check, const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  check_dino_shapes(check, config);
  for (int64_t i = 0; i < v.layers; ++i) {
    const std::string block = "visual.blocks." + std::to_string(i) + ".";
    check.need(block + "ls1.gamma", {v.width});
    check.need(block + "ls2.gamma", {v.width});
  }
}

std::unique_ptr<VisionEncoder> make_encoder(const ModelConfig& config,
                                            const Weights& weights,
                                            const Numerics& numerics) {
  return std::make_unique<Tips>(config, weights, numerics);
}

}  // namespace
}  // namespace declip::tips_family

namespace declip {

const FamilySpec families::tips{
    .name = "tips",
    .title = "TIPSv2",
    .signatures = tips_family::kSignatures,
    .check_shapes = tips_family::check_shapes,
    .has_swiglu =
        [](const ModelConfig& config) { return config.foundation.gated_mlp; },
    .make_encoder = tips_family::make_encoder,
    .dense_modes = tips_modes,
    .text = &kClipText,
};

}  // namespace declip

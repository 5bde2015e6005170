#include "families/dinov3.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/processor_config.h"
#include "checkpoint/timm_config.h"
#include "checkpoint/transformers_fields.h"
#include "declip/error.h"
#include "families/clip_config.h"
#include "families/dinov3_encoder.h"
#include "families/foundation_config.h"
#include "families/vit_names.h"
#include "files/text.h"

namespace declip::dinov3_family {
namespace {

// --- names ---

// facebookresearch/dinov3, vision_transformer.py; the norm of local crops
// serves training alone.
constexpr std::array kAuthors{
    KeyRule{"local_cls_norm.*", "", Transform::kDrop},
    KeyRule{"storage_tokens", "visual.register_tokens"},
};
constexpr std::array kAuthorsGate{
    KeyRule{"blocks.#.mlp.w1.*", "visual.blocks.#.mlp.fc1.*", Transform::kGate},
    KeyRule{"blocks.#.mlp.w2.*", "visual.blocks.#.mlp.fc1.*", Transform::kUp},
    KeyRule{"blocks.#.mlp.w3.*", "visual.blocks.#.mlp.fc2.*"},
};
// timm's eva.py
constexpr std::array kTimm{
    KeyRule{"reg_token", "visual.register_tokens"},
    KeyRule{"blocks.#.gamma_1", "visual.blocks.#.ls1.gamma"},
    KeyRule{"blocks.#.gamma_2", "visual.blocks.#.ls2.gamma"},
};
constexpr std::array kTimmGate{
    KeyRule{
        "blocks.#.mlp.fc1_g.*", "visual.blocks.#.mlp.fc1.*", Transform::kGate},
    KeyRule{
        "blocks.#.mlp.fc1_x.*", "visual.blocks.#.mlp.fc1.*", Transform::kUp},
};
// transformers models/dinov3_vit
constexpr std::array kTransformersStem{
    KeyRule{"embeddings.mask_token", "", Transform::kDrop},
    KeyRule{"embeddings.cls_token", "visual.cls_token"},
    KeyRule{"embeddings.register_tokens", "visual.register_tokens"},
    KeyRule{"embeddings.patch_embeddings.*", "visual.patch_embed.proj.*"},
};
constexpr std::array kLayer{
    KeyRule{"layer.#.norm1.*", "visual.blocks.#.norm1.*"},
    KeyRule{"layer.#.norm2.*", "visual.blocks.#.norm2.*"},
    KeyRule{"layer.#.attention.q_proj.weight",
            "visual.blocks.#.attn.qkv.weight",
            Transform::kQuery},
    KeyRule{"layer.#.attention.k_proj.weight",
            "visual.blocks.#.attn.qkv.weight",
            Transform::kKey},
    KeyRule{"layer.#.attention.v_proj.weight",
            "visual.blocks.#.attn.qkv.weight",
            Transform::kValue},
    KeyRule{"layer.#.attention.q_proj.bias", "visual.blocks.#.attn.q_bias"},
    KeyRule{"layer.#.attention.k_proj.bias", "visual.blocks.#.attn.k_bias"},
    KeyRule{"layer.#.attention.v_proj.bias", "visual.blocks.#.attn.v_bias"},
    KeyRule{"layer.#.attention.o_proj.*", "visual.blocks.#.attn.proj.*"},
    KeyRule{"layer.#.layer_scale1.lambda1", "visual.blocks.#.ls1.gamma"},
    KeyRule{"layer.#.layer_scale2.lambda1", "visual.blocks.#.ls2.gamma"},
};
constexpr std::array kPlain{
    KeyRule{"layer.#.mlp.up_proj.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"layer.#.mlp.down_proj.*", "visual.blocks.#.mlp.fc2.*"},
};
constexpr std::array kGated{
    KeyRule{"layer.#.mlp.gate_proj.*",
            "visual.blocks.#.mlp.fc1.*",
            Transform::kGate},
    KeyRule{
        "layer.#.mlp.up_proj.*", "visual.blocks.#.mlp.fc1.*", Transform::kUp},
    KeyRule{"layer.#.mlp.down_proj.*", "visual.blocks.#.mlp.fc2.*"},
};
// What version 5 calls its modules, though it writes the names of version 4.
constexpr std::string_view kModel = "model.";
constexpr auto kPlainLayer = joined(kLayer, kPlain);
constexpr auto kGatedLayer = joined(kLayer, kGated);

constexpr auto kAuthorsNames = joined(kVitMask, kAuthors, kRestOfTower);
constexpr auto kAuthorsGatedNames =
    joined(kVitMask, kAuthors, kAuthorsGate, kRestOfTower);
constexpr auto kTimmNames = joined(kTimm, kRestOfTower);
constexpr auto kTimmGatedNames = joined(kTimm, kTimmGate, kRestOfTower);
constexpr auto kPlainNames =
    joined(kTransformersStem, kPlainLayer, kRestOfTower);
constexpr auto kGatedNames =
    joined(kTransformersStem, kGatedLayer, kRestOfTower);
constexpr auto kPlainNames5 = joined(
    kTransformersStem, Prefixed<kPlainLayer, kModel>::kNames, kRestOfTower);
constexpr auto kGatedNames5 = joined(
    kTransformersStem, Prefixed<kGatedLayer, kModel>::kNames, kRestOfTower);

// --- what is refused ---

constexpr std::string_view kTeachers =
    "the teachers without a text space are DINO, DINOv2, DINOv3 (ViT) and SAM";
constexpr Refusal kConvNext{
    .name = "DINOv3 ConvNeXt",
    .told_by = "`stages.0.layers.0.depthwise_conv.weight`, `norms.3.weight`",
    .why = "it is a ConvNeXt of DINOv3, which has no text space and is no ViT",
    .instead = kTeachers};
constexpr Refusal kKin{
    .name = "EUPE, LingBot-Vision",
    .told_by = "`projectors.*` beside `storage_tokens`; timm's `config.json`",
    .why =
        "it is EUPE or LingBot-Vision, which share DINOv3's code and were "
        "not tried here",
    .instead = kTeachers};

// --- configuration ---

/// What files beside the weights tell, or their names.
struct Told {
  FoundationFields fields;
  std::optional<PixelStats> pixels;
  std::optional<Preprocess> preprocess;
  int64_t image_size = 256;  // the authors', and timm's
};

/// Of the models that were trained on pictures of the Earth.
constexpr PixelStats kSatellite{{0.430, 0.411, 0.296}, {0.213, 0.156, 0.143}};

bool is_satellite(const CheckpointSource& source) {
  const std::string& name = source.overrides.name.value_or(source.files.path);
  return name.find("sat493m") != std::string::npos;
}

Told usual() {
  Told told;
  told.fields.layer_norm_eps = 1e-5;
  return told;
}

/// All blocks have tensor `part`, or none: `visual.blocks.N.` is in front.
bool all_have(const TowerTensors& weights,
              int64_t layers,
              const std::string& part) {
  int64_t count = 0;
  std::string lacking;
  for (int64_t i = 0; i < layers; ++i) {
    const auto name = "visual.blocks." + std::to_string(i) + "." + part;
    if (weights.has(name)) {
      ++count;
    } else if (lacking.empty()) {
      lacking = name;
    }
  }
  if (count > 0 && count < layers) {
    weights.reject(lacking, "is missing, though other blocks have it");
  }
  return count > 0;
}

/// `name` [width], taken out of the tensors.
at::Tensor take_bias(TowerTensors& weights,
                     const std::string& name,
                     int64_t width) {
  const at::Tensor bias = weights.need(name, 1);
  if (bias.size(0) != width || !bias.is_floating_point()) {
    weights.reject(name,
                   "must hold " + std::to_string(width) +
                       " floating-point numbers, found shape " +
                       c10::str(bias.sizes()) + " of " +
                       c10::toString(bias.scalar_type()));
  }
  weights.tensors.erase(name);
  return bias;
}

/// One bias [3 C] a block of what the layouts have: the authors' and their
/// mask, which is 0 for keys; or those of queries and values, and zeros.
void complete_biases(TowerTensors& weights, int64_t layers, int64_t width) {
  const bool whole = all_have(weights, layers, "attn.qkv.bias");
  const bool masked = all_have(weights, layers, "attn.qkv.bias_mask");
  std::array<bool, 3> has{};
  constexpr std::array<const char*, 3> kParts{
      "attn.q_bias", "attn.k_bias", "attn.v_bias"};
  for (size_t p = 0; p < 3; ++p) has[p] = all_have(weights, layers, kParts[p]);
  for (int64_t i = 0; i < layers; ++i) {
    const std::string block = "visual.blocks." + std::to_string(i) + ".";
    const std::string name = block + "attn.qkv.bias";
    if (masked) {
      const auto mask = take_bias(weights, name + "_mask", 3 * width);
      weights.tensors[name] = take_bias(weights, name, 3 * width) * mask;
    }
    if (whole || masked) continue;  // parts beside it are refused with shapes
    std::vector<at::Tensor> parts;
    for (size_t p = 0; p < 3; ++p) {
      parts.push_back(
          has[p] ? take_bias(weights, block + kParts[p], width)
                 : at::zeros(
                       {width},
                       weights.need(block + "attn.qkv.weight", 2).options()));
    }
    weights.tensors[name] = at::cat(parts);
  }
}

/// The authors' files hold 1 / frequency, from which d / 4 is seen.
void read_periods(TowerTensors& weights, Told& told, VisionConfig& v) {
  const std::string name = "visual.rope_embed.periods";
  if (!weights.has(name)) return;
  const at::Tensor periods = weights.need(name, 1).to(at::kDouble);
  const int64_t count = periods.size(0);
  if (count < 1 || v.width % (4 * count) != 0) {
    weights.reject(name,
                   "must hold a quarter of a head's channels, of which the " +
                       std::to_string(v.width) +
                       " of the model are a multiple, found shape " +
                       c10::str(periods.sizes()));
  }
  const auto expected = at::pow(
      100.0, at::arange(count, at::kDouble) / static_cast<double>(count));
  constexpr double kRounding = 1.0 / 128;  // two steps of bfloat16
  if (!((periods / expected - 1).abs().max().item<double>() < kRounding)) {
    weights.reject(name,
                   "must hold the powers 100^(k / " + std::to_string(count) +
                       "), k = 0, 1, ...: DINOv3's rotary positions");
  }
  if (!told.fields.heads) told.fields.heads = v.width / (4 * count);
  weights.tensors.erase(name);
}

void check_head_width(const CheckpointSource& source, const VisionConfig& v) {
  const int64_t width = v.width / v.heads;
  if (width % 4 == 0) return;
  source.weights.reject("visual.patch_embed.proj.weight",
                        "gives heads of " + std::to_string(width) +
                            " channels, and rotary positions need a multiple "
                            "of 4; give config.headWidth");
}

void complete(const CheckpointSource& source, Told told, Checkpoint& out) {
  TowerTensors& weights = source.weights;
  ModelConfig& config = out.config;
  VisionConfig& v = config.vision;
  if (weights.has("visual.register_tokens")) {
    config.foundation.registers =
        weights.need("visual.register_tokens", 3).size(1);
    if (config.foundation.registers == 0) {
      weights.tensors.erase("visual.register_tokens");
    }
  }
  read_foundation_blocks(weights, /*may_be_gated=*/true, config);
  complete_biases(weights, v.layers, v.width);
  v.embed_dim = v.width;
  v.grid = std::max<int64_t>(1, told.image_size / v.patch);
  v.image_size = v.grid * v.patch;
  read_periods(weights, told, v);
  const int64_t usual_head = v.width == 4096 ? 128 : 64;  // 7B, all others
  set_foundation_heads(source, told.fields, usual_head, v);
  check_head_width(source, v);
  if (!told.pixels && is_satellite(source)) {
    told.pixels = kSatellite;
    if (!source.overrides.pixels) {
      out.notes.emplace_back(
          "the name says sat493m: statistics of the satellite models");
    }
  }
  complete_foundation_config(source, told.fields, told.pixels, out);
  config.preprocess.resize = Preprocess::Resize::kSquash;
  config.preprocess.bicubic = false;
  config.preprocess.crop = false;
  if (told.preprocess) config.preprocess = *told.preprocess;
}

void read_authors(const CheckpointSource& source, Checkpoint& out) {
  if (source.weights.has("visual.rope_embed.periods")) {
    out.notes.emplace_back(
        "rotary positions computed in float32; the file's are rounded to "
        "bfloat16, and with them the authors' program differs by up to some "
        "0.02 in the features");
  }
  complete(source, usual(), out);
}

void read_timm(const CheckpointSource& source, Checkpoint& out) {
  Told told = usual();
  // Queries and values have biases, or neither has.
  const int64_t layers = source.weights.count_blocks("visual.blocks.");
  for (const auto& [one, other] :
       {std::pair("q_bias", "v_bias"), std::pair("v_bias", "q_bias")}) {
    if (all_have(source.weights, layers, std::string("attn.") + one)) {
      source.weights.need(std::string("visual.blocks.0.attn.") + other, 1);
    }
  }
  const auto file = read_timm_config(
      source.files.folder, is_satellite(source) ? kSatellite : kImageNetPixels);
  if (file) {
    if (file->architecture.find("lingbot") != std::string::npos ||
        file->tag.find("eupe") != std::string::npos) {
      throw Error(
          ErrorCode::kWeights,
          file->path + " says " + in_quotes(file->architecture) +
              (file->tag.empty() ? "" : ", " + in_quotes(file->tag)) +
              ": not a checkpoint this package runs: " + sentence(kKin) + ".");
    }
    told.fields.heads = file->heads;
    told.pixels = file->pixels;
    told.preprocess = file->preprocess;
    if (file->image_size > 0) told.image_size = file->image_size;
    if (file->global_pool == "avg") {
      out.notes.emplace_back(
          "encodeImage gives the class token, as the authors do; timm's "
          "global_pool \"avg\" is the mean of the patches");
    }
  }
  complete(source, told, out);
}

// transformers' DINOv3ViTConfig, and what backbones add to it.
constexpr std::array kKnown{
    KnownField{"model_type", "\"dinov3_vit\""},
    KnownField{"patch_size"},
    KnownField{"hidden_size"},
    KnownField{"intermediate_size"},
    KnownField{"num_hidden_layers"},
    KnownField{"num_attention_heads"},
    KnownField{"hidden_act"},
    KnownField{"attention_dropout"},
    KnownField{"initializer_range"},
    KnownField{"layer_norm_eps"},
    KnownField{"rope_theta", "100"},
    KnownField{"image_size"},
    KnownField{"num_channels", "3"},
    KnownField{"query_bias"},
    KnownField{"key_bias"},
    KnownField{"value_bias"},
    KnownField{"proj_bias", "true"},
    KnownField{"mlp_bias", "true"},
    KnownField{"layerscale_value"},
    KnownField{"drop_path_rate"},
    KnownField{"use_gated_mlp"},
    KnownField{"num_register_tokens"},
    // of training alone
    KnownField{"pos_embed_shift"},
    KnownField{"pos_embed_jitter"},
    KnownField{"pos_embed_rescale"},
    // of maps from inner blocks
    KnownField{"apply_layernorm"},
    KnownField{"reshape_hidden_states"},
    KnownField{"return_class_token"},
    KnownField{"stage_names"},
    KnownField{"out_features"},
    KnownField{"out_indices"},
};

/// A square's side, given as one number or as two.
int64_t image_side(const Fields& f, int64_t missing) {
  const Json* found = f.find("image_size");
  if (found == nullptr || found->array() == nullptr) {
    return f.size("image_size", missing);
  }
  const Json::Array& sides = *found->array();
  const auto first = sides.empty() ? std::nullopt : sides[0].integer();
  if (sides.size() != 2 || !first || *first < 1 ||
      sides[1].integer() != first) {
    f.refuse("image_size", "where one side of a square is expected");
  }
  return *first;
}

/// The biases that the file speaks of are there, and no others.
void check_biases(const CheckpointSource& source, const Fields& f) {
  struct Bias {
    const char* field;
    const char* part;
    bool usual;
  };
  constexpr std::array kBiases{Bias{"query_bias", "attn.q_bias", true},
                               Bias{"key_bias", "attn.k_bias", false},
                               Bias{"value_bias", "attn.v_bias", true}};
  const int64_t layers = source.weights.count_blocks("visual.blocks.");
  for (const Bias& bias : kBiases) {
    const bool told = f.flag(bias.field, bias.usual);
    const std::string first = std::string("visual.blocks.0.") + bias.part;
    if (told && layers > 0) source.weights.need(first, 1);
    if (!told && all_have(source.weights, layers, bias.part)) {
      f.refuse(bias.field, "and the weights have one", "false");
    }
  }
}

/// Sizes are the tensors'; a file that tells of others is another model's.
void check_sizes(const Fields& f, const VisionConfig& v) {
  struct Size {
    const char* field;
    int64_t found;
  };
  for (const Size& size : {Size{"hidden_size", v.width},
                           Size{"intermediate_size", v.mlp_hidden},
                           Size{"num_hidden_layers", v.layers},
                           Size{"patch_size", v.patch}}) {
    if (f.size(size.field, size.found) == size.found) continue;
    f.refuse(size.field,
             "and the tensors beside it have " + std::to_string(size.found));
  }
}

void read_transformers(const CheckpointSource& source, Checkpoint& out) {
  Told told = usual();
  told.fields.transformers = true;
  told.image_size = 224;
  told.fields.file = read_json_if_there(source.files.folder, "config.json");
  if (told.fields.file) {
    const Fields f(*told.fields.file);
    f.check(kKnown);
    note_unknown(f, fields_of(kAnyFields, kKnown), "DINOv3 ViT", out.notes);
    told.fields.heads = f.size("num_attention_heads", 6);
    told.fields.layer_norm_eps = f.epsilon("layer_norm_eps", 1e-5);
    told.image_size = image_side(f, 224);
    check_biases(source, f);
  } else {
    out.notes.emplace_back(kNoConfig);
  }
  if (const auto processor = read_processor_config(
          source.files.folder,
          is_satellite(source) ? kSatellite : kImageNetPixels)) {
    told.pixels = processor->pixels;
    told.preprocess = processor->preprocess;
  }
  complete(source, told, out);
  if (!told.fields.file) return;
  const bool gated = out.config.foundation.gated_mlp;
  const Fields f(*told.fields.file);
  check_sizes(f, out.config.vision);
  const std::string* activation = f.text("hidden_act");
  const std::string wanted = gated ? "silu" : "gelu";
  if ((activation == nullptr ? "gelu" : *activation) != wanted) {
    f.refuse("hidden_act",
             "and of the weights' feed-forward layers " + in_quotes(wanted) +
                 " alone is known",
             "\"gelu\"");
  }
}

constexpr Layout kAuthorsModel{"original", kAuthorsNames, read_authors};
constexpr Layout kAuthorsGatedModel{
    "original", kAuthorsGatedNames, read_authors};
constexpr Layout kTimmModel{"timm", kTimmNames, read_timm};
constexpr Layout kTimmGatedModel{"timm", kTimmGatedNames, read_timm};
constexpr Layout kPlainModel{"huggingface", kPlainNames, read_transformers};
constexpr Layout kGatedModel{"huggingface", kGatedNames, read_transformers};
constexpr Layout kPlainModel5{"huggingface", kPlainNames5, read_transformers};
constexpr Layout kGatedModel5{"huggingface", kGatedNames5, read_transformers};

constexpr std::array kSignatures{
    Signature{.key = "*stages.#.layers.#.depthwise_conv.weight",
              .refusal = &kConvNext},
    Signature{.key = "stages.#.#.dwconv.weight",
              .refusal = &kConvNext,
              .also = "norms.3.weight"},
    Signature{
        .key = "projectors.*", .refusal = &kKin, .also = "storage_tokens"},
    Signature{.key = "storage_tokens",
              .layout = &kAuthorsGatedModel,
              .also = "blocks.#.mlp.w*",
              .prefixes = kFoundationPrefixes},
    Signature{.key = "rope_embed.periods",
              .layout = &kAuthorsGatedModel,
              .also = "blocks.#.mlp.w*",
              .prefixes = kFoundationPrefixes},
    Signature{.key = "storage_tokens",
              .layout = &kAuthorsModel,
              .prefixes = kFoundationPrefixes},
    Signature{.key = "rope_embed.periods",
              .layout = &kAuthorsModel,
              .prefixes = kFoundationPrefixes},
    Signature{.key = "blocks.#.mlp.fc1_*",
              .layout = &kTimmGatedModel,
              .also = "reg_token",
              .without = "pos_embed",
              .prefixes = kFoundationPrefixes},
    Signature{.key = "blocks.#.gamma_1",
              .layout = &kTimmModel,
              .also = "reg_token",
              .without = "pos_embed",
              .prefixes = kFoundationPrefixes},
    Signature{.key = "layer.#.mlp.gate_proj.weight",
              .layout = &kGatedModel,
              .prefixes = kFoundationPrefixes},
    Signature{.key = "model.layer.#.mlp.gate_proj.weight",
              .layout = &kGatedModel5,
              .prefixes = kFoundationPrefixes},
    Signature{.key = "layer.#.attention.q_proj.weight",
              .layout = &kPlainModel,
              .without = "embeddings.position_embeddings",
              .prefixes = kFoundationPrefixes},
    Signature{.key = "model.layer.#.attention.q_proj.weight",
              .layout = &kPlainModel5,
              .without = "embeddings.position_embeddings",
              .prefixes = kFoundationPrefixes},
};

void check_shapes(ShapeChecker& check, const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  check.need("visual.cls_token", {1, 1, v.width});
  if (config.foundation.registers > 0) {
    check.need("visual.register_tokens",
               {1, config.foundation.registers, v.width});
  }
  check.need_pair("visual.patch_embed.proj", {v.width, 3, v.patch, v.patch});
  for (int64_t i = 0; i < v.layers; ++i) {
    const std::string block = "visual.blocks." + std::to_string(i) + ".";
    check_foundation_block(check, block, config);
    check.need(block + "ls1.gamma", {v.width});
    check.need(block + "ls2.gamma", {v.width});
  }
  check.need_pair("visual.norm", {v.width});
}

std::unique_ptr<VisionEncoder> make_encoder(const ModelConfig& config,
                                            const Weights& weights,
                                            const Numerics& numerics) {
  return std::make_unique<DinoV3>(config, weights, numerics);
}

}  // namespace
}  // namespace declip::dinov3_family

namespace declip {

const FamilySpec families::dinov3{
    .name = "dinov3",
    .title = "DINOv3",
    .signatures = dinov3_family::kSignatures,
    .check_shapes = dinov3_family::check_shapes,
    .has_swiglu =
        [](const ModelConfig& config) { return config.foundation.gated_mlp; },
    .make_encoder = dinov3_family::make_encoder,
    .gives_query_key = true,
};

}  // namespace declip

#include "families/dinov2.h"

#include <array>

#include "families/dinov2_encoder.h"
#include "families/foundation_config.h"
#include "families/vit_names.h"

namespace declip::dinov2_family {
namespace {

// --- names ---

constexpr std::array kGated{
    KeyRule{"blocks.#.mlp.w12.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"blocks.#.mlp.w3.*", "visual.blocks.#.mlp.fc2.*"},
};
constexpr std::array kTimmRegisters{
    KeyRule{"reg_token", "visual.register_tokens"}};
constexpr std::array kTransformersDino2{
    KeyRule{"encoder.layer.#.norm1.*", "visual.blocks.#.norm1.*"},
    KeyRule{"encoder.layer.#.norm2.*", "visual.blocks.#.norm2.*"},
    KeyRule{"encoder.layer.#.layer_scale1.lambda1",
            "visual.blocks.#.ls1.gamma"},
    KeyRule{"encoder.layer.#.layer_scale2.lambda1",
            "visual.blocks.#.ls2.gamma"},
};
constexpr std::array kTransformersAttention5{
    KeyRule{"encoder.layer.#.attention.q_proj.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kQuery},
    KeyRule{"encoder.layer.#.attention.k_proj.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kKey},
    KeyRule{"encoder.layer.#.attention.v_proj.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kValue},
    KeyRule{"encoder.layer.#.attention.o_proj.*",
            "visual.blocks.#.attn.proj.*"},
};
constexpr std::array kTransformersMlp{
    KeyRule{"encoder.layer.#.mlp.fc1.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"encoder.layer.#.mlp.fc2.*", "visual.blocks.#.mlp.fc2.*"},
};
constexpr std::array kTransformersGated{
    KeyRule{"encoder.layer.#.mlp.weights_in.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"encoder.layer.#.mlp.weights_out.*", "visual.blocks.#.mlp.fc2.*"},
};
constexpr std::array kTransformersGated5{
    KeyRule{"encoder.layer.#.mlp.gate_proj.*",
            "visual.blocks.#.mlp.fc1.*",
            Transform::kGate},
    KeyRule{"encoder.layer.#.mlp.up_proj.*",
            "visual.blocks.#.mlp.fc1.*",
            Transform::kUp},
    KeyRule{"encoder.layer.#.mlp.down_proj.*", "visual.blocks.#.mlp.fc2.*"},
};

constexpr auto kOriginalNames = joined(kVitMask, kRestOfTower);
constexpr auto kGatedNames = joined(kVitMask, kGated, kRestOfTower);
constexpr auto kTimmNames = joined(kVitMask, kTimmRegisters, kRestOfTower);
constexpr auto kTransformersNames = joined(kTransformersEnds,
                                           kTransformersAttention,
                                           kTransformersDino2,
                                           kTransformersMlp,
                                           kRestOfTower);
constexpr auto kTransformersGatedNames = joined(kTransformersEnds,
                                                kTransformersAttention,
                                                kTransformersDino2,
                                                kTransformersGated,
                                                kRestOfTower);
constexpr auto kTransformers5Names = joined(kTransformersEnds,
                                            kTransformersAttention5,
                                            kTransformersDino2,
                                            kTransformersMlp,
                                            kRestOfTower);
constexpr auto kTransformers5GatedNames = joined(kTransformersEnds,
                                                 kTransformersAttention5,
                                                 kTransformersDino2,
                                                 kTransformersGated5,
                                                 kRestOfTower);

// --- configuration ---

void read_told(const CheckpointSource& source,
               const FoundationFields& told,
               Checkpoint& out) {
  const TowerTensors& weights = source.weights;
  int64_t& registers = out.config.foundation.registers;
  if (weights.has("visual.register_tokens")) {
    registers = weights.need("visual.register_tokens", 3).size(1);
    if (registers < 1) {
      weights.reject("visual.register_tokens", "must not be empty");
    }
  }
  read_foundation_blocks(weights, /*may_be_gated=*/true, out.config);
  complete_dino_config(source, told, out);
}

/// TIPSv2's tower alone has the names of DINOv2, unless its MLP has others.
void refuse_tips(const CheckpointSource& source) {
  const auto file = read_json_if_there(source.files.folder, "config.json");
  if (!file || file->json.object() == nullptr) return;
  const Fields fields(*file);
  const std::string* type = fields.text("model_type");
  if (type == nullptr || !type->starts_with("tipsv2")) return;
  fields.refuse("model_type",
                "whose image tower alone has DINOv2's names; load the whole "
                "model, whose texts tell it");
}

void read(const CheckpointSource& source, Checkpoint& out) {
  refuse_tips(source);
  read_told(source, {}, out);
}

void read_transformers(const CheckpointSource& source, Checkpoint& out) {
  read_told(source, read_foundation_fields(source, 1e-6, out), out);
}

constexpr Layout kOriginal{"original", kOriginalNames, read};
constexpr Layout kOriginalGated{"original", kGatedNames, read};
constexpr Layout kTimm{"timm", kTimmNames, read};
constexpr Layout kTransformersModel{
    "huggingface", kTransformersNames, read_transformers};
constexpr Layout kTransformersGatedModel{
    "huggingface", kTransformersGatedNames, read_transformers};
constexpr Layout kTransformers5Model{
    "huggingface", kTransformers5Names, read_transformers};
constexpr Layout kTransformers5GatedModel{
    "huggingface", kTransformers5GatedNames, read_transformers};

constexpr Refusal kMae{
    .name = "MAE with its decoder",
    .told_by = "`decoder_blocks.*`, `decoder.decoder_layers.*`",
    .why = "it is a masked autoencoder (MAE) with its decoder",
    .instead =
        "of the vision foundation models, DINO, DINOv2, DINOv3 and SAM are "
        "supported"};
constexpr Refusal kTimmEva{
    .name = "BEiT and EVA in timm's layout",
    .told_by = "`blocks.0.gamma_1`, `blocks.0.attn.q_bias`",
    .why = "it is a BEiT or an EVA in timm's layout",
    .instead = "of these EVA02-CLIP B and L are supported"};

// Other ViTs with DINOv2's and DINO's names come first.
constexpr std::array kSignatures{
    Signature{.key = "*decoder_blocks.#.norm1.weight", .refusal = &kMae},
    Signature{.key = "decoder.decoder_layers.*", .refusal = &kMae},
    Signature{.key = "*blocks.#.gamma_1", .refusal = &kTimmEva},
    Signature{.key = "*blocks.#.attn.q_bias", .refusal = &kTimmEva},
    Signature{
        .key = "reg_token", .layout = &kTimm, .prefixes = kFoundationPrefixes},
    Signature{.key = "blocks.#.mlp.w12.weight",
              .layout = &kOriginalGated,
              .prefixes = kFoundationPrefixes},
    Signature{.key = "blocks.#.ls1.gamma",
              .layout = &kOriginal,
              .prefixes = kFoundationPrefixes},
    Signature{.key = "encoder.layer.#.mlp.gate_proj.weight",
              .layout = &kTransformers5GatedModel,
              .prefixes = kFoundationPrefixes},
    Signature{.key = "encoder.layer.#.attention.q_proj.weight",
              .layout = &kTransformers5Model,
              .prefixes = kFoundationPrefixes},
    Signature{.key = "encoder.layer.#.mlp.weights_in.weight",
              .layout = &kTransformersGatedModel,
              .prefixes = kFoundationPrefixes},
    Signature{.key = "encoder.layer.#.layer_scale1.lambda1",
              .layout = &kTransformersModel,
              .prefixes = kFoundationPrefixes},
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
  return std::make_unique<DinoV2>(config, weights, numerics);
}

}  // namespace
}  // namespace declip::dinov2_family

namespace declip {

const FamilySpec families::dinov2{
    .name = "dinov2",
    .title = "DINOv2",
    .signatures = dinov2_family::kSignatures,
    .check_shapes = dinov2_family::check_shapes,
    .has_swiglu =
        [](const ModelConfig& config) { return config.foundation.gated_mlp; },
    .make_encoder = dinov2_family::make_encoder,
    .gives_query_key = true,
};

}  // namespace declip

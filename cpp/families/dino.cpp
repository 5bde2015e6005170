#include "families/dino.h"

#include <array>

#include "families/dino_encoder.h"
#include "families/foundation_config.h"
#include "families/vit_names.h"

namespace declip::dino_family {
namespace {

// --- names ---

constexpr std::array kTransformersVit{
    KeyRule{"encoder.layer.#.layernorm_before.*", "visual.blocks.#.norm1.*"},
    KeyRule{"encoder.layer.#.layernorm_after.*", "visual.blocks.#.norm2.*"},
    KeyRule{"encoder.layer.#.intermediate.dense.*",
            "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"encoder.layer.#.output.dense.*", "visual.blocks.#.mlp.fc2.*"},
};
constexpr std::array kTransformersVit5{
    KeyRule{"layers.#.attention.q_proj.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kQuery},
    KeyRule{"layers.#.attention.k_proj.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kKey},
    KeyRule{"layers.#.attention.v_proj.*",
            "visual.blocks.#.attn.qkv.*",
            Transform::kValue},
    KeyRule{"layers.#.attention.o_proj.*", "visual.blocks.#.attn.proj.*"},
    KeyRule{"layers.#.layernorm_before.*", "visual.blocks.#.norm1.*"},
    KeyRule{"layers.#.layernorm_after.*", "visual.blocks.#.norm2.*"},
    KeyRule{"layers.#.mlp.fc1.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"layers.#.mlp.fc2.*", "visual.blocks.#.mlp.fc2.*"},
};

constexpr auto kOriginalNames = joined(kVitMask, kRestOfTower);
constexpr auto kTransformersNames = joined(
    kTransformersEnds, kTransformersAttention, kTransformersVit, kRestOfTower);
constexpr auto kTransformers5Names =
    joined(kTransformersEnds, kTransformersVit5, kRestOfTower);

// --- configuration ---

void read_told(const CheckpointSource& source,
               const FoundationFields& told,
               Checkpoint& out) {
  read_foundation_blocks(source.weights, /*may_be_gated=*/false, out.config);
  complete_dino_config(source, told, out);
}

void read(const CheckpointSource& source, Checkpoint& out) {
  read_told(source, {}, out);
}

void read_transformers(const CheckpointSource& source, Checkpoint& out) {
  read_told(source, read_foundation_fields(source, 1e-12, out), out);
}

constexpr Layout kOriginal{"original", kOriginalNames, read};
constexpr Layout kTransformersModel{
    "huggingface", kTransformersNames, read_transformers};
constexpr Layout kTransformers5Model{
    "huggingface", kTransformers5Names, read_transformers};

constexpr Refusal kClassifier{
    .name = "Image classifiers (timm's ViT, DeiT)",
    .told_by = "`head.weight` beside `blocks.0.attn.qkv.weight`",
    .why = "it is an image classifier, a ViT with a head for its own classes",
    .instead =
        "leave out head.weight and head.bias to have its patch features, or "
        "classify with "
        "words by a CLIP"};

constexpr std::array kSignatures{
    Signature{.key = "blocks.#.attn.qkv.weight",
              .refusal = &kClassifier,
              .also = "head.weight"},
    Signature{.key = "layers.#.attention.q_proj.weight",
              .layout = &kTransformers5Model,
              .prefixes = kFoundationPrefixes},
    Signature{.key = "encoder.layer.#.attention.attention.query.weight",
              .layout = &kTransformersModel,
              .prefixes = kFoundationPrefixes},
    Signature{.key = "blocks.#.attn.qkv.weight",
              .layout = &kOriginal,
              .prefixes = kFoundationPrefixes},
};

std::unique_ptr<VisionEncoder> make_encoder(const ModelConfig& config,
                                            const Weights& weights,
                                            const Numerics& numerics) {
  return std::make_unique<Dino>(config, weights, numerics);
}

}  // namespace
}  // namespace declip::dino_family

namespace declip {

const FamilySpec families::dino{
    .name = "dino",
    .title = "DINO",
    .signatures = dino_family::kSignatures,
    .check_shapes = check_dino_shapes,
    .has_swiglu = [](const ModelConfig&) { return false; },
    .make_encoder = dino_family::make_encoder,
    .gives_query_key = true,
};

}  // namespace declip

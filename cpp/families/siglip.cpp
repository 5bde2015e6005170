#include "families/siglip.h"

#include <array>
#include <string>

#include "checkpoint/tower_shapes.h"
#include "families/clip_text.h"
#include "families/hugging_face_siglip.h"
#include "families/siglip_encoder.h"
#include "families/timm_siglip.h"
#include "model/recipe.h"

namespace declip::siglip_family {
namespace {

constexpr Refusal kTextAlone{
    .name = "SigLIP's text tower alone",
    .told_by = "`text_model.head.weight`, and no image tower",
    .why = "it holds SigLIP's text tower and no image tower",
    .instead = "load the whole model, which gives text features too"};

constexpr Refusal kTimmNaflex{
    .name = "NaFlex in timm's layout",
    .told_by = "`visual.trunk.embeds.proj.weight`",
    .why = "its image tower is a NaFlex ViT in timm's layout",
    .instead =
        "take SigLIP 2 NaFlex in transformers' layout, such as "
        "google/siglip2-base-patch16-naflex"};

const std::array kSignatures{
    Signature{.key = "visual.trunk.embeds.proj.weight",
              .refusal = &kTimmNaflex},
    Signature{.key = "embeds.proj.weight", .refusal = &kTimmNaflex},
    Signature{.key = "vision_model.head.probe", .layout = &kHuggingFaceSiglip},
    Signature{.key = "vision_model.head.*", .layout = &kHuggingFaceSiglip},
    Signature{.key = "head.probe", .layout = &kHuggingFaceSiglipVision},
    // PE-Core has such a head behind a norm before the blocks.
    Signature{.key = "visual.trunk.attn_pool.latent",
              .layout = &kOpenClipSiglip,
              .without = "visual.trunk.norm_pre.weight"},
    Signature{.key = "attn_pool.latent",
              .layout = &kTimmSiglip,
              .without = "norm_pre.weight"},
    Signature{.key = "text_model.head.*", .refusal = &kTextAlone},
};

void check_shapes(ShapeChecker& check, const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  check.need_pair("visual.conv1", {v.width, 3, v.patch, v.patch});
  check.need("visual.positional_embedding", {v.grid * v.grid, v.width});
  check_clip_blocks(check, "visual.", v.layers, v.width, v.mlp_hidden);
  check.need_pair("visual.ln_post", {v.width});
  check_pooling_head(check, v.width, config.pooling_head->mlp_hidden);
}

std::unique_ptr<VisionEncoder> make_encoder(const ModelConfig& config,
                                            const Weights& weights,
                                            const Numerics& numerics) {
  return std::make_unique<Siglip>(config, weights, numerics);
}

}  // namespace
}  // namespace declip::siglip_family

namespace declip {

const FamilySpec families::siglip{
    .name = "siglip",
    .title = "SigLIP, SigLIP 2",
    .signatures = siglip_family::kSignatures,
    .check_shapes = siglip_family::check_shapes,
    .has_swiglu = [](const ModelConfig&) { return false; },
    .make_encoder = siglip_family::make_encoder,
    .dense_modes = head_modes,
    .text = &kClipText,
};

}  // namespace declip

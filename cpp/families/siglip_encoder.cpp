#include "families/siglip_encoder.h"

#include <ATen/ATen.h>

#include <string>

#include "model/mode_attention.h"
#include "model/patches.h"
#include "model/recipe.h"

namespace declip {

Siglip::Siglip(const ModelConfig& config,
               const Weights& weights,
               const Numerics& numerics)
    : VisionEncoder(config, numerics, {.dense_modes = head_modes()}),
      head_(Scope(weights, "visual.") / "attn_pool",
            *config.pooling_head,
            config.vision.layer_norm_eps,
            numerics) {
  const Scope visual(weights, "visual.");
  const VisionConfig& v = config.vision;
  patches_ = Linear(
      visual["conv1.weight"].flatten(1), visual["conv1.bias"], numerics.ends());
  table_ = visual["positional_embedding"].reshape({v.grid, v.grid, v.width});
  for (int64_t i = 0; i < v.layers; ++i) {
    blocks_.emplace_back(
        visual / "transformer" / "resblocks" / std::to_string(i),
        v.layer_norm_eps,
        v.heads,
        v.activation,
        Projection::Products::kOne,
        numerics);
  }
  norm_ = LayerNorm(visual / "ln_post", v.layer_norm_eps, numerics);
}

at::Tensor Siglip::embed(const at::Tensor& image, Positions positions) const {
  const int64_t p = config_.vision.patch;
  const auto rule = config_.vision.any_shape ? TableResize::kBilinearAntialiased
                    : positions == Positions::kScaleFactor
                        ? TableResize::kScaleFactor
                        : TableResize::kSize;
  const auto patches = patches_(patch_pixels(image, p).to(numerics_.dtype))
                           .to(numerics_.stream());
  return patches +
         resize_table(table_, image.size(2) / p, image.size(3) / p, rule);
}

at::Tensor Siglip::block(
    int64_t i, const at::Tensor& x, Grid, const Call&, Heads* heads) const {
  const auto& layers = blocks_[static_cast<size_t>(i)];
  const auto own = layers.in_proj(layers.ln_1(x), {});
  if (heads != nullptr) *heads = own;
  const auto y = layers.out_proj.add_to(x, attend(own, numerics_));
  return layers.mlp.add_to(y, layers.ln_2(y));
}

at::Tensor Siglip::tokens(const at::Tensor& image,
                          Positions positions,
                          const Call& call) const {
  const auto x = embed(image, positions);
  const auto patches = grid(image.size(2), image.size(3));
  return norm_(walk(*this, x, 0, depth(), patches, call));
}

at::Tensor Siglip::class_features(const at::Tensor& image,
                                  Positions positions,
                                  const Call& call) const {
  return head_.pooled(tokens(image, positions, call));
}

Stages Siglip::stages(const at::Tensor& image,
                      const StageOptions& options,
                      const Call& call) const {
  const auto patches = grid(image.size(2), image.size(3));
  StageTap tap(options.blocks, depth(), /*prefix=*/0, patches);
  const int64_t end = options.features ? depth() : tap.end();
  // One rule for all modes, which is transformers' and DeCLIP's.
  const auto positions = options.dense.positions.value_or(Positions::kSize);
  const auto x =
      walk(*this, embed(image, positions), 0, end, patches, call, {&tap});
  Stages out{tap.take(), {}};
  if (options.features) {
    call.check();
    const auto features = head_.dense(norm_(x), patches, options.dense);
    const Grid cells = dense_grid(patches, options.dense);
    out.features = features.transpose(1, 2).unflatten(2, {cells.h, cells.w});
  }
  return out;
}

}  // namespace declip

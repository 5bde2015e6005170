#include <ATen/ATen.h>

#include <vector>

#include "model/layers.h"
#include "model/vision_tower.h"

namespace declip {
namespace {

/// The ViT of OpenAI CLIP and OpenCLIP: convolution without bias, ln_pre,
/// fused qkv, (Quick)GELU MLP, ln_post and a right-multiplied projection;
/// CLIPA's has no ln_pre, timm's a bias of the projection.
/// Radford et al., arXiv:2103.00020.
class PlainTower final : public VisionTower {
 public:
  PlainTower(const VisionConfig& config,
             const Weights& weights,
             const Numerics& numerics)
      : VisionTower(config,
                    numerics,
                    {.rotary = false,
                     .unscaled_self_attention = false,
                     .unit_patches = true}) {
    const Scope visual(weights, "visual.");
    patches_ = Linear(visual["conv1.weight"].flatten(1), {}, numerics.ends());
    class_embedding_ = visual["class_embedding"];
    positions_ = visual["positional_embedding"];
    if (config.norm_before_blocks) {
      ln_pre_ = LayerNorm(
          visual / "ln_pre", config.layer_norm_eps, numerics.in_stream());
    }
    ln_post_ = LayerNorm(visual / "ln_post", config.layer_norm_eps, numerics);
    proj_ =
        Linear(visual["proj"].t(), visual.find("proj_bias"), numerics.ends());
    for (int64_t i = 0; i < config.layers; ++i) {
      blocks_.emplace_back(
          visual / "transformer" / "resblocks" / std::to_string(i),
          config.layer_norm_eps,
          config.heads,
          config.activation,
          products_of(i),
          numerics);
    }
  }

  at::Tensor embed(const at::Tensor& image, Positions rule) const override {
    const auto x = tokens(patches_, class_embedding_, positions_, image, rule);
    return config_.norm_before_blocks ? ln_pre_(x) : x;
  }

  at::Tensor norm1(int64_t i, const at::Tensor& x) const override {
    return block_at(i).ln_1(x);
  }

  Heads project(int64_t i,
                const at::Tensor& normed,
                const Wanted& wanted) const override {
    return block_at(i).in_proj(normed, wanted);
  }

  void rotate(Heads&, Grid) const override {}

  at::Tensor output(int64_t i,
                    const at::Tensor& merged,
                    const at::Tensor& residual) const override {
    const auto& out = block_at(i).out_proj;
    return residual.defined() ? out.add_to(residual, merged)
                              : out(merged).to(numerics_.stream());
  }

  at::Tensor feed_forward(int64_t i, const at::Tensor& x) const override {
    const auto& b = block_at(i);
    return b.mlp.add_to(x, b.ln_2(x));
  }

  at::Tensor final_norm(const at::Tensor& tokens) const override {
    return ln_post_(tokens);
  }

  at::Tensor to_shared_space(const at::Tensor& normed) const override {
    return proj_(normed);
  }

 private:
  const ClipBlock& block_at(int64_t i) const {
    return blocks_[static_cast<size_t>(i)];
  }

  at::Tensor class_embedding_, positions_;
  Linear patches_, proj_;
  LayerNorm ln_pre_, ln_post_;
  std::vector<ClipBlock> blocks_;
};

}  // namespace

std::unique_ptr<VisionTower> make_plain_tower(const VisionConfig& config,
                                              const Weights& weights,
                                              const Numerics& numerics) {
  return std::make_unique<PlainTower>(config, weights, numerics);
}

}  // namespace declip

#include <ATen/ATen.h>

#include <vector>

#include "model/layers.h"
#include "model/vision_tower.h"

namespace declip {
namespace {

/// The ViT of OpenAI CLIP and OpenCLIP: convolution without bias, ln_pre,
/// fused qkv, (Quick)GELU MLP, ln_post and a right-multiplied projection.
/// Radford et al., arXiv:2103.00020.
class PlainTower final : public VisionTower {
 public:
  PlainTower(const VisionConfig& config, const Weights& weights)
      : VisionTower(config) {
    const Scope visual(weights, "visual.");
    conv1_ = visual["conv1.weight"];
    class_embedding_ = visual["class_embedding"];
    positions_ = visual["positional_embedding"];
    ln_pre_ = LayerNorm(visual / "ln_pre", config.layer_norm_eps);
    ln_post_ = LayerNorm(visual / "ln_post", config.layer_norm_eps);
    proj_ = visual["proj"];
    for (int64_t i = 0; i < config.layers; ++i) {
      blocks_.emplace_back(
          visual / "transformer" / "resblocks" / std::to_string(i),
          config.layer_norm_eps,
          config.activation);
    }
    const auto last = visual / "transformer" / "resblocks" /
                      std::to_string(config.layers - 1) / "attn";
    last_values_ = Linear(last["in_proj_weight"].slice(0, 2 * config.width),
                          last["in_proj_bias"].slice(0, 2 * config.width));
  }

  Family family() const override { return Family::kPlain; }

  at::Tensor embed(const at::Tensor& image, Positions rule) const override {
    const auto patches = grid(image.size(2), image.size(3));
    const auto x = at::conv2d(image, conv1_, {}, {config_.patch, config_.patch})
                       .flatten(2)
                       .transpose(1, 2);  // (B, N, C)
    const auto cls = class_embedding_.expand({x.size(0), 1, -1});
    return ln_pre_(at::cat({cls, x}, 1) +
                   resize_positions(positions_, patches.h, patches.w, rule));
  }

  at::Tensor norm1(int64_t i, const at::Tensor& x) const override {
    return block_at(i).ln_1(x);
  }

  Heads project(int64_t i, const at::Tensor& normed) const override {
    const auto qkv = block_at(i).in_proj(normed).chunk(3, -1);
    return {split_heads(qkv[0], config_.heads),
            split_heads(qkv[1], config_.heads),
            split_heads(qkv[2], config_.heads)};
  }

  at::Tensor project_values(int64_t i,
                            const at::Tensor& normed) const override {
    return i + 1 == config_.layers
               ? last_values_(normed)
               : block_at(i).in_proj(normed).slice(-1, 2 * config_.width);
  }

  void rotate(Heads&, Grid) const override {}

  at::Tensor output(int64_t i, const at::Tensor& merged) const override {
    return block_at(i).attention_output(merged);
  }

  at::Tensor feed_forward(int64_t i, const at::Tensor& x) const override {
    return block_at(i).feed_forward(x);
  }

  at::Tensor finish(const at::Tensor& tokens) const override {
    return at::matmul(ln_post_(tokens), proj_);
  }

 private:
  const ClipBlock& block_at(int64_t i) const {
    return blocks_[static_cast<size_t>(i)];
  }

  at::Tensor conv1_, class_embedding_, positions_, proj_;
  LayerNorm ln_pre_, ln_post_;
  Linear last_values_;  // the value rows of the last block's in_proj
  std::vector<ClipBlock> blocks_;
};

}  // namespace

std::unique_ptr<VisionTower> make_plain_tower(const VisionConfig& config,
                                              const Weights& weights) {
  return std::make_unique<PlainTower>(config, weights);
}

}  // namespace declip

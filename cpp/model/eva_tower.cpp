#include <ATen/ATen.h>

#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "model/layers.h"
#include "model/rope.h"
#include "model/vision_tower.h"

namespace declip {
namespace {

/// One EVA02 block: separate q, k, v (k without bias), rotary positions,
/// LayerNorms inside attention and MLP (sub-LN), SwiGLU.
struct EvaBlock {
  LayerNorm norm1, norm2, inner_attn_ln, ffn_ln;
  Linear q, k, v, proj, w1, w2, w3;

  EvaBlock(const Scope& scope, double eps)
      : norm1(scope / "norm1", eps),
        norm2(scope / "norm2", eps),
        inner_attn_ln(scope / "attn" / "inner_attn_ln", eps),
        ffn_ln(scope / "mlp" / "ffn_ln", eps),
        q((scope / "attn" / "q_proj")["weight"], (scope / "attn")["q_bias"]),
        k((scope / "attn" / "k_proj")["weight"], {}),
        v((scope / "attn" / "v_proj")["weight"], (scope / "attn")["v_bias"]),
        proj(scope / "attn" / "proj"),
        w1(scope / "mlp" / "w1"),
        w2(scope / "mlp" / "w2"),
        w3(scope / "mlp" / "w3") {}
};

/// EVA02-CLIP's ViT: patch embedding with bias, no ln_pre, every LayerNorm with
/// epsilon 1e-6, class token through `norm` and `head` (with bias).
/// Fang et al., arXiv:2303.11331; Sun et al., arXiv:2303.15389.
class EvaTower final : public VisionTower {
 public:
  EvaTower(const VisionConfig& config, const Weights& weights)
      : VisionTower(config) {
    const Scope visual(weights, "visual.");
    patch_weight_ = visual["patch_embed.proj.weight"];
    patch_bias_ = visual["patch_embed.proj.bias"];
    cls_token_ = visual["cls_token"];
    positions_ = visual["pos_embed"].squeeze(0);
    norm_ = LayerNorm(visual / "norm", config.layer_norm_eps);
    head_ = Linear(visual / "head");
    for (int64_t i = 0; i < config.layers; ++i) {
      blocks_.emplace_back(visual / "blocks" / std::to_string(i),
                           config.layer_norm_eps);
    }
  }

  Family family() const override { return Family::kEva; }

  at::Tensor embed(const at::Tensor& image, Positions rule) const override {
    const auto patches = grid(image.size(2), image.size(3));
    const auto x =
        at::conv2d(
            image, patch_weight_, patch_bias_, {config_.patch, config_.patch})
            .flatten(2)
            .transpose(1, 2);  // (B, N, C)
    const auto cls = cls_token_.expand({x.size(0), 1, -1});
    return at::cat({cls, x}, 1) +
           resize_positions(positions_, patches.h, patches.w, rule);
  }

  at::Tensor norm1(int64_t i, const at::Tensor& x) const override {
    return block_at(i).norm1(x);
  }

  Heads project(int64_t i, const at::Tensor& normed) const override {
    const auto& b = block_at(i);
    return {split_heads(b.q(normed), config_.heads),
            split_heads(b.k(normed), config_.heads),
            split_heads(b.v(normed), config_.heads)};
  }

  at::Tensor project_values(int64_t i,
                            const at::Tensor& normed) const override {
    return block_at(i).v(normed);
  }

  void rotate(Heads& heads, Grid grid) const override {
    const auto table = rope(grid, heads.q.device());
    heads.q = rotate_patches(heads.q, table);
    heads.k = rotate_patches(heads.k, table);
  }

  at::Tensor output(int64_t i, const at::Tensor& merged) const override {
    const auto& b = block_at(i);
    return b.proj(b.inner_attn_ln(merged));
  }

  at::Tensor feed_forward(int64_t i, const at::Tensor& x) const override {
    const auto& b = block_at(i);
    const auto y = b.norm2(x);
    return b.w3(b.ffn_ln(at::silu(b.w1(y)) * b.w2(y)));
  }

  at::Tensor finish(const at::Tensor& tokens) const override {
    return head_(norm_(tokens));
  }

 private:
  const EvaBlock& block_at(int64_t i) const {
    return blocks_[static_cast<size_t>(i)];
  }

  /// Tables are always recomputed in float32; those stored in checkpoints are
  /// rounded. The last grid is kept: every block of a call asks for the same.
  RopeTable rope(Grid grid, at::Device device) const {
    const std::lock_guard lock(rope_mutex_);
    if (rope_grid_ != std::pair(grid.h, grid.w)) {
      rope_ = rope_table(grid.h, grid.w, config_.width / config_.heads);
      rope_.cos = rope_.cos.to(device);
      rope_.sin = rope_.sin.to(device);
      rope_grid_ = {grid.h, grid.w};
    }
    return rope_;
  }

  at::Tensor patch_weight_, patch_bias_, cls_token_, positions_;
  Linear head_;
  LayerNorm norm_;
  std::vector<EvaBlock> blocks_;
  mutable std::mutex rope_mutex_;
  mutable std::pair<int64_t, int64_t> rope_grid_{-1, -1};
  mutable RopeTable rope_;
};

}  // namespace

std::unique_ptr<VisionTower> make_eva_tower(const VisionConfig& config,
                                            const Weights& weights) {
  return std::make_unique<EvaTower>(config, weights);
}

}  // namespace declip

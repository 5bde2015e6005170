#include <ATen/ATen.h>

#include <vector>

#include "kernels/rope.h"
#include "model/kept_rope.h"
#include "model/layers.h"
#include "model/rope.h"
#include "model/vision_tower.h"

namespace declip {
namespace {

constexpr int64_t kPrefix = 1;  // the class token, which does not turn

/// One EVA02 block: q, k (without bias) and v, rotary positions, LayerNorms
/// inside attention and MLP (sub-LN), SwiGLU with w1 and w2 side by side.
struct EvaBlock {
  LayerNorm norm1, norm2, inner_attn_ln, ffn_ln;
  Projection qkv;
  Linear proj, w12, w3;

  EvaBlock(const Scope& scope,
           double eps,
           int64_t heads,
           Projection::Products products,
           const Numerics& numerics)
      : norm1(scope / "norm1", eps, numerics),
        norm2(scope / "norm2", eps, numerics),
        inner_attn_ln(scope / "attn" / "inner_attn_ln", eps, numerics),
        ffn_ln(scope / "mlp" / "ffn_ln", eps, numerics),
        qkv({(scope / "attn" / "q_proj")["weight"],
             (scope / "attn" / "k_proj")["weight"],
             (scope / "attn" / "v_proj")["weight"]},
            {(scope / "attn")["q_bias"], {}, (scope / "attn")["v_bias"]},
            heads,
            products,
            numerics),
        proj(scope / "attn" / "proj", numerics),
        w12(at::cat({(scope / "mlp" / "w1")["weight"],
                     (scope / "mlp" / "w2")["weight"]}),
            at::cat({(scope / "mlp" / "w1")["bias"],
                     (scope / "mlp" / "w2")["bias"]}),
            numerics),
        w3(scope / "mlp" / "w3", numerics) {}
};

/// EVA02-CLIP's ViT: patch embedding with bias, no ln_pre, every LayerNorm with
/// epsilon 1e-6, class token through `norm` and `head` (with bias).
/// Fang et al., arXiv:2303.11331; Sun et al., arXiv:2303.15389.
class EvaTower final : public VisionTower {
 public:
  EvaTower(const VisionConfig& config,
           const Weights& weights,
           const Numerics& numerics)
      : VisionTower(config,
                    numerics,
                    {.rotary = true,
                     .unscaled_self_attention = true,
                     .unit_patches = false}) {
    const Scope visual(weights, "visual.");
    patches_ = Linear(visual["patch_embed.proj.weight"].flatten(1),
                      visual["patch_embed.proj.bias"],
                      numerics.ends());
    cls_token_ = visual["cls_token"].flatten();
    positions_ = visual["pos_embed"].squeeze(0);
    norm_ = LayerNorm(visual / "norm", config.layer_norm_eps, numerics);
    head_ = Linear(visual / "head", numerics.ends());
    for (int64_t i = 0; i < config.layers; ++i) {
      blocks_.emplace_back(visual / "blocks" / std::to_string(i),
                           config.layer_norm_eps,
                           config.heads,
                           products_of(i),
                           numerics);
    }
  }

  at::Tensor embed(const at::Tensor& image, Positions rule) const override {
    return tokens(patches_, cls_token_, positions_, image, rule);
  }

  at::Tensor norm1(int64_t i, const at::Tensor& x) const override {
    return block_at(i).norm1(x);
  }

  Heads project(int64_t i,
                const at::Tensor& normed,
                const Wanted& wanted) const override {
    return block_at(i).qkv(normed, wanted);
  }

  void rotate(Heads& heads, Grid grid) const override {
    const auto table = rope(grid, heads.k.device());
    const auto turn = [&](at::Tensor& x) {
      if (numerics_.fused) {
        rotate_pairs(x, table.cos, table.sin, kPrefix);
      } else {
        x = rotate_patches(x, table, kPrefix);
      }
    };
    // A class query stands at no position.
    if (heads.q.size(1) > 1) turn(heads.q);
    turn(heads.k);
  }

  at::Tensor output(int64_t i,
                    const at::Tensor& merged,
                    const at::Tensor& residual) const override {
    const auto& b = block_at(i);
    const auto normed = b.inner_attn_ln(merged);
    return residual.defined() ? b.proj.add_to(residual, normed)
                              : b.proj(normed).to(numerics_.stream());
  }

  at::Tensor feed_forward(int64_t i, const at::Tensor& x) const override {
    const auto& b = block_at(i);
    return b.w3.add_to(x, b.ffn_ln.gated(b.w12(b.norm2(x))));
  }

  at::Tensor final_norm(const at::Tensor& tokens) const override {
    return norm_(tokens);
  }

  at::Tensor to_shared_space(const at::Tensor& normed) const override {
    return head_(normed);
  }

 private:
  const EvaBlock& block_at(int64_t i) const {
    return blocks_[static_cast<size_t>(i)];
  }

  /// Tables are always recomputed in float32; those stored in checkpoints are
  /// rounded.
  RopeTable rope(Grid grid, at::Device device) const {
    return rope_.get(grid, device, [&](Grid g) {
      return rope_table(g.h, g.w, config_.width / config_.heads);
    });
  }

  at::Tensor cls_token_, positions_;
  Linear patches_, head_;
  LayerNorm norm_;
  std::vector<EvaBlock> blocks_;
  KeptRope rope_;
};

}  // namespace

std::unique_ptr<VisionTower> make_eva_tower(const VisionConfig& config,
                                            const Weights& weights,
                                            const Numerics& numerics) {
  return std::make_unique<EvaTower>(config, weights, numerics);
}

}  // namespace declip

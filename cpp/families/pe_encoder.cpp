#include "families/pe_encoder.h"

#include <ATen/ATen.h>

#include <string>

#include "families/positions.h"
#include "kernels/rope.h"
#include "model/mode_attention.h"
#include "model/patches.h"
#include "model/recipe.h"

namespace declip {
namespace {

constexpr double kRopeBase = 10000;

/// [s, r] angles of one side whose positions are first, first + 1, ...; each
/// frequency twice.
at::Tensor side_angles(int64_t s, int64_t r, int64_t first) {
  const auto options = at::TensorOptions().dtype(at::kFloat);
  const auto frequencies = 1.0 / at::pow(kRopeBase,
                                         at::arange(0, r, 2, options) /
                                             static_cast<double>(r));  // (r/2)
  const auto positions = at::arange(first, first + s, options);
  return (positions.unsqueeze(1) * frequencies.unsqueeze(0))
      .repeat_interleave(2, -1);
}

/// The first half of a head follows the column, the second the row (EVA's the
/// other way round). Positions are whole numbers on any grid; with a class
/// token, which stands at 0, they start at 1.
RopeTable pe_rope_table(Grid grid, int64_t head_width, int64_t first) {
  const auto [h, w] = grid;
  const int64_t r = head_width / 2;
  const auto columns = side_angles(w, r, first).unsqueeze(0).expand({h, w, r});
  const auto rows = side_angles(h, r, first).unsqueeze(1).expand({h, w, r});
  const auto angles = at::cat({columns, rows}, -1).reshape({h * w, 2 * r});
  return {angles.cos(), angles.sin()};
}

}  // namespace

PeCore::PeCore(const ModelConfig& config,
               const Weights& weights,
               const Numerics& numerics)
    : VisionEncoder(config, numerics, {.dense_modes = head_modes()}),
      head_(Scope(weights, "visual.attn_pool."),
            *config.pooling_head,
            config.vision.layer_norm_eps,
            numerics) {
  const Scope visual(weights, "visual.");
  const VisionConfig& v = config.vision;
  patches_ = Linear(visual["conv1.weight"].flatten(1), {}, numerics.ends());
  auto positions = visual["positional_embedding"];
  if (v.class_token) {
    class_ = visual["class_embedding"] + positions[0];
    positions = positions.slice(0, 1);
  }
  table_ = positions.reshape({v.grid, v.grid, v.width});
  ln_pre_ =
      LayerNorm(visual / "ln_pre", v.layer_norm_eps, numerics.in_stream());
  for (int64_t i = 0; i < v.layers; ++i) {
    blocks_.emplace_back(
        visual / "transformer" / "resblocks" / std::to_string(i),
        v.layer_norm_eps,
        v.heads,
        v.activation,
        Projection::Products::kOne,
        numerics);
  }
  ln_post_ = LayerNorm(visual / "ln_post", v.layer_norm_eps, numerics);
  proj_ = Linear(visual["proj"].t(), visual.find("proj_bias"), numerics.ends());
}

at::Tensor PeCore::embed(const at::Tensor& image) const {
  const auto [h, w] = grid(image.size(2), image.size(3));
  auto x =
      patches_(patch_pixels(image, config_.vision.patch).to(numerics_.dtype))
          .to(numerics_.stream()) +
      resize_table(table_, h, w, TableResize::kBilinear);
  if (class_.defined()) {
    x = at::cat({class_.expand({x.size(0), 1, -1}).to(x.scalar_type()), x}, 1);
  }
  return ln_pre_(x);
}

void PeCore::rotate(Heads& heads, Grid grid) const {
  const int64_t head_width = config_.vision.width / config_.vision.heads;
  const auto table = rope_.get(grid, heads.q.device(), [&](Grid g) {
    return pe_rope_table(g, head_width, prefix());
  });
  for (at::Tensor* x : {&heads.q, &heads.k}) {
    if (numerics_.fused) {
      rotate_pairs(*x, table.cos, table.sin, prefix());
    } else {
      *x = rotate_patches(*x, table, prefix());
    }
  }
}

at::Tensor PeCore::block(int64_t i,
                         const at::Tensor& x,
                         Grid grid,
                         const Call&,
                         Heads* heads) const {
  const ClipBlock& b = blocks_[static_cast<size_t>(i)];
  auto own = b.in_proj(b.ln_1(x), {});
  if (heads != nullptr) {
    // rotation may write to what it gets
    const bool turns = numerics_.fused;
    *heads = {
        turns ? own.q.clone() : own.q, turns ? own.k.clone() : own.k, own.v};
  }
  rotate(own, grid);
  const auto y = b.out_proj.add_to(x, attend(own, numerics_));
  return b.mlp.add_to(y, b.ln_2(y));
}

at::Tensor PeCore::tokens(const at::Tensor& image, const Call& call) const {
  const auto patches = grid(image.size(2), image.size(3));
  return ln_post_(walk(*this, embed(image), 0, depth(), patches, call));
}

at::Tensor PeCore::class_features(const at::Tensor& image,
                                  Positions,
                                  const Call& call) const {
  const auto own = tokens(image, call);
  call.check();
  return proj_(head_.pooled(own).to(numerics_.dtype));
}

Stages PeCore::stages(const at::Tensor& image,
                      const StageOptions& options,
                      const Call& call) const {
  const auto patches = grid(image.size(2), image.size(3));
  if (options.features) check_mode(options.dense.mode);
  StageTap tap(options.blocks, depth(), prefix(), patches);
  const int64_t end = options.features ? depth() : tap.end();
  const auto x = walk(*this, embed(image), 0, end, patches, call, {&tap});
  Stages out{tap.take(), {}};
  if (options.features) {
    call.check();
    out.features = features(ln_post_(x), patches, options.dense);
  }
  return out;
}

at::Tensor PeCore::features(const at::Tensor& tokens,
                            Grid patches,
                            const DenseOptions& options) const {
  // ProxyCLIP's attention knows patches alone; in all others the class token
  // takes part.
  const bool proxy = recipe_of(options.mode).needs_proxy();
  auto dense =
      head_.dense(proxy ? tokens.slice(1, prefix()) : tokens, patches, options);
  if (!proxy) dense = dense.slice(1, prefix());
  const auto [h, w] = dense_grid(patches, options);
  return proj_(dense.to(numerics_.dtype)).transpose(1, 2).unflatten(2, {h, w});
}

}  // namespace declip

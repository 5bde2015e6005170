#include "families/dinov3_encoder.h"

#include <ATen/ATen.h>

#include "kernels/rope.h"

namespace declip {
namespace {

/// Channels 0, d / 2, 1, d / 2 + 1, ... of a head.
at::Tensor pairs_side_by_side(const VisionConfig& v) {
  return at::arange(v.width / v.heads).view({2, -1}).t().flatten();
}

}  // namespace

DinoV3::DinoV3(const ModelConfig& config,
               const Weights& weights,
               const Numerics& numerics)
    : Dino(config,
           weights,
           numerics,
           TableResize::kSize,  // of no table
           {},
           pairs_side_by_side(config.vision)) {}

void DinoV3::check(const at::Tensor& image) const {
  check_whole_patches(image);
}

void DinoV3::turn(Heads& heads, Grid grid) const {
  const VisionConfig& v = config_.vision;
  const auto table = rope_.get(grid, heads.k.device(), [&](Grid g) {
    return centred_rope_table(g.h, g.w, v.width / v.heads);
  });
  const int64_t prefix = 1 + config_.foundation.registers;
  for (at::Tensor* x : {&heads.q, &heads.k}) {
    if (numerics_.fused) {
      rotate_pairs(*x, table.cos, table.sin, prefix);
    } else {
      *x = rotate_patches(*x, table, prefix);
    }
  }
}

}  // namespace declip

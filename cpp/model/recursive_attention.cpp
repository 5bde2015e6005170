#include "model/recursive_attention.h"

#include <ATen/ATen.h>

#include "kernels/dense_attention.h"
#include "model/mode_attention.h"

namespace declip {
namespace {

constexpr double kRecursiveGain = 10;

}  // namespace

at::Tensor attend_twice(const VisionTower& tower,
                        int64_t block,
                        Heads heads,
                        Grid grid) {
  tower.rotate(heads, grid);
  const auto first = tower.output(block, attend(heads, tower.numerics()), {});
  const auto split =
      split_heads(first.to(at::kFloat), heads.v.size(2));  // (B, L, n, d)
  const auto unit = split / split.norm(2, {-1}, true).clamp_min(1e-12);
  AttentionOptions attention;
  attention.drop_negative = true;
  return combine(tower.numerics(),
                 {{{{unit, unit}}, kRecursiveGain, 1.0}},
                 heads.v.to(at::kFloat),
                 attention)
      .to(heads.v.scalar_type());
}

}  // namespace declip

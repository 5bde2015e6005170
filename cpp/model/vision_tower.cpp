#include "model/vision_tower.h"

#include <ATen/ATen.h>

namespace declip {

at::Tensor split_heads(const at::Tensor& x, int64_t heads) {
  return x.unflatten(-1, {heads, -1}).transpose(1, 2);
}

at::Tensor merge_heads(const at::Tensor& x) {
  return x.transpose(1, 2).flatten(2);
}

at::Tensor VisionTower::block(int64_t i, const at::Tensor& x, Grid grid) const {
  auto heads = project(i, norm1(i, x));
  rotate(heads, grid);
  const auto y = x + output(i,
                            merge_heads(at::scaled_dot_product_attention(
                                heads.q, heads.k, heads.v)));
  return y + feed_forward(i, y);
}

at::Tensor VisionTower::encode_image(const at::Tensor& image,
                                     Positions positions,
                                     const Call& call) const {
  const auto patches = grid(image.size(2), image.size(3));
  auto x = embed(image, positions);
  for (int64_t i = 0; i < config_.layers; ++i) {
    call.check();
    x = block(i, x, patches);
  }
  return finish(x.slice(1, 0, 1)).squeeze(1);
}

}  // namespace declip

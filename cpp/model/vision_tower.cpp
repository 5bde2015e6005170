#include "model/vision_tower.h"

#include <ATen/ATen.h>

#include "model/patches.h"

namespace declip {

at::Tensor VisionTower::tokens(const Linear& patches,
                               const at::Tensor& class_token,
                               const at::Tensor& positions,
                               const at::Tensor& image,
                               Positions rule) const {
  const auto [h, w] = grid(image.size(2), image.size(3));
  const auto embedded =
      patches(patch_pixels(image, config_.patch).to(numerics_.dtype));
  const auto table =
      resize_positions(positions, h, w, rule).to(numerics_.stream());
  const auto cls = class_token.expand({image.size(0), 1, config_.width});
  return at::cat({cls, embedded.to(numerics_.stream())}, 1) + table;
}

at::Tensor VisionTower::block(int64_t i,
                              const at::Tensor& x,
                              Grid grid,
                              const Call&,
                              Heads* heads) const {
  auto own = project(i, norm1(i, x), {});
  if (heads != nullptr) {
    // rotation may write to what it gets
    const bool turns = traits_.rotary && numerics_.fused;
    *heads = {
        turns ? own.q.clone() : own.q, turns ? own.k.clone() : own.k, own.v};
  }
  rotate(own, grid);
  return feed_forward(i, output(i, attend(own, numerics_), x));
}

at::Tensor VisionTower::encode_image(const at::Tensor& image,
                                     Positions positions,
                                     const Call& call) const {
  const auto patches = grid(image.size(2), image.size(3));
  const auto x = walk(
      *this, embed(image, positions), 0, config_.layers - 1, patches, call);
  call.check();
  return class_features(x, patches);
}

at::Tensor VisionTower::class_features(const at::Tensor& x, Grid grid) const {
  const int64_t last = config_.layers - 1;
  if (config_.mean_of_patches) {
    const auto patches = block(last, x, grid, {}, nullptr).slice(1, 1);
    // What comes last is linear: the mean of the results is that of the mean.
    return config_.norm_after_mean ? finish(patches.mean(1, true)).squeeze(1)
                                   : finish(patches).mean(1);
  }
  // Of the last block only the class token is looked at.
  Wanted wanted;
  wanted.class_query = true;
  auto heads = project(last, norm1(last, x), wanted);
  rotate(heads, grid);
  const auto y = output(last, attend(heads, numerics_), x.slice(1, 0, 1));
  return finish(feed_forward(last, y)).squeeze(1);
}

}  // namespace declip

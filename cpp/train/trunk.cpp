#include "train/trunk.h"

#include <ATen/ATen.h>

#include <utility>

namespace declip {

Trunk::Trunk(const VisionTower& tower,
             const at::Tensor& image,
             bool checkpoints,
             const Call& call)
    : tower_(tower),
      grid_(tower.grid(image.size(2), image.size(3))),
      checkpoints_(checkpoints) {
  embedded_ = tower.embed(image, Positions::kSize);
  bool learns = embedded_.requires_grad();
  auto x = checkpoints ? embedded_.detach() : embedded_;
  for (int64_t i = 0; i + 1 < tower.config().layers; ++i) {
    call.check();
    const auto y = tower.block(i, x, grid_);
    if (checkpoints) {
      stages_.push_back({x, learns});
      learns = learns || y.requires_grad();
    }
    x = checkpoints ? y.detach() : y;  // lets go of the block's graph
  }
  output_ = x;
  if (checkpoints) output_.requires_grad_(learns);
}

void Trunk::backward(const Call& call) {
  if (!checkpoints_) return;
  auto gradient = output_.grad();
  while (!stages_.empty() && gradient.defined()) {
    call.check();
    const auto [x, needed] = std::move(stages_.back());
    stages_.pop_back();
    x.requires_grad_(needed);
    tower_.block(static_cast<int64_t>(stages_.size()), x, grid_)
        .backward(gradient);
    gradient = x.grad();
  }
  if (gradient.defined() && embedded_.requires_grad()) {
    embedded_.backward(gradient);
  }
}

}  // namespace declip

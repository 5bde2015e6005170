#include "train/trunk.h"

#include <ATen/ATen.h>

namespace declip {

Trunk::Trunk(const VisionTower& tower,
             const at::Tensor& image,
             bool checkpoints,
             const Call& call)
    : tower_(tower), grid_(tower.grid(image.size(2), image.size(3))) {
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
  auto gradient = output_.is_leaf() ? output_.grad() : at::Tensor();
  for (auto i = static_cast<int64_t>(stages_.size()) - 1;
       i >= 0 && gradient.defined();
       --i) {
    call.check();
    const auto& stage = stages_[static_cast<size_t>(i)];
    const auto x = stage.input.requires_grad_(stage.needed);
    tower_.block(i, x, grid_).backward(gradient);
    gradient = x.grad();
    x.mutable_grad().reset();
  }
  if (!stages_.empty() && gradient.defined() && embedded_.requires_grad()) {
    embedded_.backward(gradient);
  }
}

}  // namespace declip

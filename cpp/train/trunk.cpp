#include "train/trunk.h"

#include <ATen/ATen.h>

#include <utility>

namespace declip {

/// Lets go of every block's graph and keeps what the block was made of.
class Trunk::Cuts final : public Tap {
 public:
  Cuts(const at::Tensor& input, bool learns, std::vector<Checkpoint>& kept)
      : input_(input), learns_(learns), kept_(kept) {}

  at::Tensor after(int64_t, const at::Tensor& x) override {
    kept_.push_back({input_, learns_});
    learns_ = learns_ || x.requires_grad();
    return input_ = x.detach();
  }
  bool learns() const { return learns_; }

 private:
  at::Tensor input_;
  bool learns_;
  std::vector<Checkpoint>& kept_;
};

Trunk::Trunk(const VisionTower& tower,
             const at::Tensor& image,
             bool checkpoints,
             const Call& call)
    : tower_(tower),
      grid_(tower.grid(image.size(2), image.size(3))),
      checkpoints_(checkpoints) {
  embedded_ = tower.embed(image, Positions::kSize);
  const int64_t last = tower.depth() - 1;
  if (!checkpoints) {
    output_ = walk(tower, embedded_, 0, last, grid_, call);
    return;
  }
  const auto input = embedded_.detach();
  Cuts cuts(input, embedded_.requires_grad(), kept_);
  output_ = walk(tower, input, 0, last, grid_, call, {&cuts});
  output_.requires_grad_(cuts.learns());
}

void Trunk::backward(const Call& call) {
  if (!checkpoints_) return;
  auto gradient = output_.grad();
  while (!kept_.empty() && gradient.defined()) {
    call.check();
    const auto [x, needed] = std::move(kept_.back());
    kept_.pop_back();
    x.requires_grad_(needed);
    tower_.block(static_cast<int64_t>(kept_.size()), x, grid_, call, nullptr)
        .backward(gradient);
    gradient = x.grad();
  }
  if (gradient.defined() && embedded_.requires_grad()) {
    embedded_.backward(gradient);
  }
}

}  // namespace declip

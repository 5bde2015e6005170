#include "train/trunk.h"

#include <ATen/ATen.h>

#include <algorithm>
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

/// Keeps the tokens that the loss looks at. Where they are cut from the graph,
/// gradients of the loss and of the block above meet in them.
class Trunk::Looks final : public Tap {
 public:
  Looks(const std::vector<int64_t>& blocks,
        const Cuts* cuts,
        std::map<int64_t, at::Tensor>& shown)
      : blocks_(blocks), cuts_(cuts), shown_(shown) {}

  at::Tensor after(int64_t i, const at::Tensor& x) override {
    if (std::ranges::find(blocks_, i) != blocks_.end()) {
      if (cuts_ != nullptr) x.requires_grad_(cuts_->learns());
      shown_.emplace(i, x);
    }
    return x;
  }

 private:
  const std::vector<int64_t>& blocks_;
  const Cuts* cuts_;
  std::map<int64_t, at::Tensor>& shown_;
};

Trunk::Trunk(const VisionTower& tower,
             const at::Tensor& image,
             bool checkpoints,
             const Call& call,
             const std::vector<int64_t>& shown)
    : tower_(tower),
      grid_(tower.grid(image.size(2), image.size(3))),
      checkpoints_(checkpoints) {
  embedded_ = tower.embed(image, Positions::kSize);
  const int64_t last = tower.depth() - 1;
  if (!checkpoints) {
    Looks looks(shown, nullptr, shown_);
    output_ = walk(tower, embedded_, 0, last, grid_, call, {&looks});
    return;
  }
  const auto input = embedded_.detach();
  Cuts cuts(input, embedded_.requires_grad(), kept_);
  Looks looks(shown, &cuts, shown_);
  output_ = walk(tower, input, 0, last, grid_, call, {&cuts, &looks});
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

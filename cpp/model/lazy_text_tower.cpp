#include "model/lazy_text_tower.h"

#include <ATen/ATen.h>

#include <utility>

#include "checkpoint/fingerprint.h"

namespace declip {

namespace {

/// What weights cannot tell of a tower.
std::string settings(const TextConfig& config) {
  return std::to_string(config.heads) + " " +
         std::to_string(config.layer_norm_eps) + " " +
         std::to_string(static_cast<int>(config.activation)) + " " +
         std::to_string(config.eot_token);
}

}  // namespace

LazyTextTower::LazyTextTower(const TextConfig& config,
                             std::map<std::string, at::Tensor> tensors,
                             at::Device device,
                             const Numerics& numerics,
                             TensorCheck check,
                             std::vector<std::weak_ptr<const MappedFile>> files)
    : config_(config),
      device_(device),
      numerics_(numerics),
      check_(std::move(check)),
      files_(std::move(files)),
      fingerprint_(declip::fingerprint(tensors, settings(config))),
      tensors_(std::move(tensors)) {}

const TextTower& LazyTextTower::get(const Call& call) const {
  const std::lock_guard lock(mutex_);
  if (tower_ == nullptr) {
    // What the caller hears of is its texts.
    const Call quiet{call.cancelled, {}};
    const Weights weights(tensors_, device_, numerics_.stream(), quiet, check_);
    auto tower = std::make_unique<const TextTower>(config_, weights, numerics_);
    check_files(files_);
    tower_ = std::move(tower);
    tensors_.clear();
  }
  return *tower_;
}

}  // namespace declip

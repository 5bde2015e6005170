#include "model/lazy_text_tower.h"

#include <ATen/ATen.h>

#include <utility>

#include "checkpoint/fingerprint.h"

namespace declip {

namespace {

/// What weights cannot tell of a tower. CLIP's own way adds nothing, as
/// fingerprints that people have saved must stay what they are.
std::string settings(const TextConfig& config) {
  const TextConfig usual;
  std::string out = std::to_string(config.heads) + " " +
                    std::to_string(config.layer_norm_eps) + " " +
                    std::to_string(static_cast<int>(config.activation)) + " " +
                    std::to_string(config.eot_token);
  const auto add = [&](const char* name, auto value, auto usually) {
    if (value == usually) return;
    out.append(" ").append(name).append(std::to_string(value));
  };
  add("pool", static_cast<int>(config.pool), static_cast<int>(usual.pool));
  add("causal", int{config.causal}, int{usual.causal});
  add("pad", config.pad_token, usual.pad_token);
  add("fill", config.fill_token, usual.fill_token);
  add("scale", config.embedding_scale, usual.embedding_scale);
  return out;
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

#include "train/parameters.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "declip/error.h"

namespace declip {
namespace {

constexpr int64_t kNever = -1;

/// N of `prefix`N.*, or -1.
int64_t block_of(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return -1;
  name.remove_prefix(prefix.size());
  int64_t block = -1;
  std::from_chars(name.data(), name.data() + name.size(), block);
  return block;
}

std::string_view block_prefix(Family family) {
  return family == Family::kEva ? "visual.blocks."
                                : "visual.transformer.resblocks.";
}

/// The group of a tensor of the image tower, counted from 0.
int64_t group_of(std::string_view name, Family family) {
  const int64_t block = block_of(name, block_prefix(family));
  if (family == Family::kEva) return block < 0 ? kNever : block;
  if (block >= 0) return 2 + block;
  if (name == "visual.positional_embedding") return 1;
  if (name == "visual.conv1.weight" || name == "visual.class_embedding" ||
      name.starts_with("visual.ln_pre.")) {
    return 0;
  }
  return kNever;
}

/// What the last block of DeCLIP's student has no use for.
bool is_unused(std::string_view name,
               const ModelConfig& config,
               DenseMode mode) {
  const auto prefix = block_prefix(config.family);
  if (block_of(name, prefix) != config.vision.layers - 1) return false;
  const auto part = name.substr(name.find('.', prefix.size()) + 1);
  if (config.family == Family::kPlain) {
    return part.starts_with("ln_2.") || part.starts_with("mlp.") ||
           part.starts_with("ls_2.");
  }
  if (part.starts_with("norm2.") || part.starts_with("mlp.")) return true;
  if (mode == DenseMode::kQq) return part == "attn.k_proj.weight";
  if (mode == DenseMode::kKk) {
    return part == "attn.q_proj.weight" || part == "attn.q_bias";
  }
  return false;
}

}  // namespace

std::vector<std::string> trainable_parameters(
    const ModelConfig& config,
    const std::map<std::string, at::Tensor>& tensors,
    const TrainOptions& options) {
  const bool eva = config.family == Family::kEva;
  const bool contrastive = options.objective == Objective::kContrastive;
  const int64_t groups = config.vision.layers + (eva ? 0 : 2);
  // CLIPSelf's and DeCLIP's scripts unlock as many groups as there are blocks.
  const int64_t unlocked =
      options.unlocked_groups.value_or(config.vision.layers);
  if (unlocked < 1 || unlocked > groups) {
    throw Error(ErrorCode::kInvalidArg,
                "unlockedGroups must be 1.." + std::to_string(groups) +
                    " (groups of this image tower), received " +
                    std::to_string(unlocked) +
                    ". Leave it out to train every block.");
  }
  const auto learns = [&](const std::string& name) {
    if (name == "logit_scale") {
      return contrastive ? options.train_text
                         : eva && options.objective != Objective::kDeClip;
    }
    if (!name.starts_with("visual.")) return contrastive && options.train_text;
    if (contrastive && !options.unlocked_groups) return true;
    return group_of(name, config.family) >= groups - unlocked &&
           !(options.objective == Objective::kDeClip &&
             is_unused(name, config, options.mode));
  };
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    if (learns(name)) names.push_back(name);
  }
  return names;
}

bool has_weight_decay(const std::string& name, const at::Tensor& tensor) {
  constexpr std::array<std::string_view, 4> kWithout{
      "bn", "ln", "bias", "logit_scale"};
  return tensor.dim() >= 2 &&
         std::none_of(
             kWithout.begin(), kWithout.end(), [&](std::string_view part) {
               return name.find(part) != std::string::npos;
             });
}

}  // namespace declip

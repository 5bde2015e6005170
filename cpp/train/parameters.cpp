#include "train/parameters.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "checkpoint/family.h"
#include "declip/error.h"

namespace declip {
namespace {

/// N of `prefix`N.*, or -1.
int64_t block_of(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return -1;
  name.remove_prefix(prefix.size());
  int64_t block = -1;
  std::from_chars(name.data(), name.data() + name.size(), block);
  return block;
}

/// The group of a tensor of the image tower, counted from 0.
int64_t group_of(std::string_view name, const TrainingSide& side) {
  const int64_t block = block_of(name, side.block_prefix);
  return block < 0 ? side.stem_group(name) : side.stem_groups + block;
}

/// What the last block of DeCLIP's student has no use for.
bool is_unused(std::string_view name,
               const ModelConfig& config,
               DenseMode mode) {
  const TrainingSide& side = *config.family->training;
  const auto prefix = side.block_prefix;
  if (block_of(name, prefix) != config.vision.layers - 1) return false;
  return side.is_unused(name.substr(name.find('.', prefix.size()) + 1), mode);
}

}  // namespace

std::vector<std::string> trainable_parameters(
    const ModelConfig& config,
    const std::map<std::string, at::Tensor>& tensors,
    const TrainOptions& options) {
  const TrainingSide& side = *config.family->training;
  const bool contrastive = options.objective == Objective::kContrastive;
  const int64_t groups = config.vision.layers + side.stem_groups;
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
                         : side.learns_logit_scale &&
                               options.objective != Objective::kDeClip;
    }
    if (!name.starts_with("visual.")) return contrastive && options.train_text;
    if (contrastive && !options.unlocked_groups) return true;
    return group_of(name, side) >= groups - unlocked &&
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

#include "model/encoder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "checkpoint/family.h"
#include "declip/error.h"
#include "model/recipe.h"

namespace declip {

void VisionEncoder::check_mode(DenseMode mode) const {
  const auto modes = info_.dense_modes;
  if (modes.empty() ||
      std::find(modes.begin(), modes.end(), mode) != modes.end())
    return;
  const bool in_block = recipe_of(mode).in_block;
  const bool has_head = config_.pooling_head.has_value();
  throw Error(ErrorCode::kInvalidArg,
              std::string("Dense mode '") + dense_mode_name(mode) +
                  "' is not defined for this model (" +
                  std::string(config_.family->name) + ")" +
                  (in_block && has_head   ? ", which ends in a pooling head"
                   : in_block || has_head ? ""
                                          : ", which has no pooling head") +
                  ": give mode, or a method with a mode, that is one of " +
                  mode_names(modes) + ".");
}

at::Tensor VisionEncoder::features_after(const Stage&, DenseMode mode) const {
  throw Error(ErrorCode::kInvalidArg,
              std::string("Dense mode '") + dense_mode_name(mode) +
                  "' cannot be had beside another one: this model (" +
                  std::string(config_.family->name) +
                  ") has no block with modes at its end. Give both the same "
                  "mode.");
}

at::Tensor VisionEncoder::patches(const at::Tensor& image,
                                  const DenseOptions& options,
                                  const Call& call) const {
  StageOptions all;
  all.dense = options;
  all.features = true;
  return stages(image, all, call).features;
}

StageTap::StageTap(const std::vector<int64_t>& blocks,
                   int64_t depth,
                   int64_t prefix,
                   Grid grid)
    : blocks_(blocks), prefix_(prefix), grid_(grid), stages_(blocks.size()) {
  for (const int64_t block : blocks) {
    if (block >= 0 && block < depth) continue;
    throw Error(ErrorCode::kInvalidArg,
                "blocks must be 0.." + std::to_string(depth - 1) +
                    " (this model's, counted from 0), received " +
                    std::to_string(block) + ".");
  }
}

int64_t StageTap::end() const {
  return blocks_.empty()
             ? 0
             : 1 + *std::max_element(blocks_.begin(), blocks_.end());
}

at::Tensor StageTap::after(int64_t i, const at::Tensor& x) {
  for (size_t s = 0; s < blocks_.size(); ++s) {
    if (blocks_[s] != i) continue;
    stages_[s].prefix = x.slice(1, 0, prefix_);
    stages_[s].map =
        x.slice(1, prefix_).transpose(1, 2).unflatten(2, {grid_.h, grid_.w});
  }
  return x;
}

}  // namespace declip

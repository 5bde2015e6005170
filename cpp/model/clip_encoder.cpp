#include "model/clip_encoder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "declip/error.h"
#include "model/dense_mode.h"
#include "model/recipe.h"

namespace declip {

ClipEncoder::ClipEncoder(const ModelConfig& config,
                         std::unique_ptr<const VisionTower> tower)
    : VisionEncoder(config,
                    tower->numerics(),
                    {.dense_modes = block_modes(),
                     .pools_unit_patches = tower->traits().unit_patches}),
      tower_(std::move(tower)) {}

at::Tensor ClipEncoder::class_features(const at::Tensor& image,
                                       Positions positions,
                                       const Call& call) const {
  return tower_->encode_image(image, positions, call);
}

Stages ClipEncoder::stages(const at::Tensor& image,
                           const StageOptions& options,
                           const Call& call) const {
  const int64_t depth = tower_->depth();
  StageTap tap(options.blocks,
               depth,
               /*prefix=*/1,
               grid(image.size(2), image.size(3)));
  if (tap.end() == depth && !recipe_of(options.dense.mode).keeps_class_token) {
    throw Error(ErrorCode::kInvalidArg,
                std::string("Dense mode '") +
                    dense_mode_name(options.dense.mode) +
                    "' has no tokens of the last block with a class token, on "
                    "the picture's own grid: ask for blocks 0.." +
                    std::to_string(depth - 2) + ".");
  }
  Stages out;
  if (options.features) {
    out.features = encode_dense(*tower_, image, options.dense, call, &tap);
  } else {
    dense_tokens(*tower_, image, options.dense, tap.end(), call, &tap);
  }
  out.blocks = tap.take();
  return out;
}

at::Tensor ClipEncoder::features_after(const Stage& before,
                                       DenseMode mode) const {
  check_mode(mode);
  const Recipe& recipe = recipe_of(mode);
  if (!recipe.earlier_blocks.empty() || !recipe.keeps_class_token ||
      recipe.needs_proxy()) {
    throw Error(ErrorCode::kInvalidArg,
                std::string("Dense mode '") + dense_mode_name(mode) +
                    "' looks at more than the last block, and cannot be had "
                    "from the tokens before it: give a mode of the last block "
                    "alone, such as 'maskclip', 'qq' or 'csa'.");
  }
  const Grid grid{before.map.size(2), before.map.size(3)};
  const auto x =
      at::cat({before.prefix, before.map.flatten(2).transpose(1, 2)}, 1)
          .to(tower_->numerics().stream());
  return finish_dense(*tower_, x, grid, mode);
}

std::unique_ptr<VisionEncoder> make_plain_encoder(const ModelConfig& config,
                                                  const Weights& weights,
                                                  const Numerics& numerics) {
  return std::make_unique<ClipEncoder>(
      config, make_plain_tower(config.vision, weights, numerics));
}

std::unique_ptr<VisionEncoder> make_eva_encoder(const ModelConfig& config,
                                                const Weights& weights,
                                                const Numerics& numerics) {
  return std::make_unique<ClipEncoder>(
      config, make_eva_tower(config.vision, weights, numerics));
}

}  // namespace declip

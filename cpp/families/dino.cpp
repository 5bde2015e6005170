#include "families/dino.h"

#include <ATen/ATen.h>

#include <string>

#include "model/patches.h"

namespace declip {

Dino::Dino(const ModelConfig& config,
           const Weights& weights,
           const Numerics& numerics,
           TableResize rule)
    : Teacher(config, numerics), rule_(rule) {
  const Scope visual(weights, "visual.");
  const VisionConfig& v = config.vision;
  // The first and the last layer are small and sensitive.
  auto ends = numerics;
  ends.int8 = false;
  patches_ = Linear(visual["patch_embed.proj.weight"].flatten(1),
                    visual["patch_embed.proj.bias"],
                    ends);
  class_ = visual["cls_token"].flatten();
  auto positions = visual["pos_embed"].squeeze(0);
  if (config.foundation.class_position) {
    class_ = class_ + positions[0];
    positions = positions.slice(0, 1);
  }
  table_ = positions.view({v.grid, v.grid, v.width});
  if (config.foundation.registers > 0) {
    registers_ = visual["register_tokens"].squeeze(0);
  }
  for (int64_t i = 0; i < v.layers; ++i) {
    blocks_.emplace_back(
        visual / "blocks" / std::to_string(i), config, numerics);
  }
  // Its result is handed out.
  auto stream = numerics;
  stream.dtype = numerics.stream();
  norm_ = LayerNorm(visual / "norm", v.layer_norm_eps, stream);
}

at::Tensor Dino::embed(const at::Tensor& image) const {
  const int64_t p = config_.vision.patch, batch = image.size(0);
  const auto patches = patches_(patch_pixels(image, p).to(numerics_.dtype))
                           .to(numerics_.stream());
  const auto table =
      resize_table(table_, image.size(2) / p, image.size(3) / p, rule_);
  std::vector<at::Tensor> parts{class_.expand({batch, 1, -1})};
  if (registers_.defined()) parts.push_back(registers_.expand({batch, -1, -1}));
  parts.push_back(patches + table);
  return at::cat(parts, 1);
}

at::Tensor Dino::tokens(const at::Tensor& image, const Call& call) const {
  auto x = embed(image);
  for (const TeacherBlock& block : blocks_) {
    call.check();
    const auto heads = block.project(block.norm1(x));
    x = block.finish(x, attend(heads, numerics_));
  }
  return norm_(x);
}

at::Tensor Dino::features(const at::Tensor& image, const Call& call) const {
  const int64_t p = config_.vision.patch;
  return tokens(image, call)
      .slice(1, 1 + config_.foundation.registers)
      .transpose(1, 2)
      .reshape({image.size(0), -1, image.size(2) / p, image.size(3) / p});
}

at::Tensor Dino::class_token(const at::Tensor& image, const Call& call) const {
  return tokens(image, call).select(1, 0).contiguous();
}

}  // namespace declip

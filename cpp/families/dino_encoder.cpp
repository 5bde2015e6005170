#include "families/dino_encoder.h"

#include <ATen/ATen.h>

#include <string>

#include "checkpoint/family.h"
#include "declip/error.h"
#include "model/patches.h"

namespace declip {
namespace {

/// The class token's query times the patches' keys, of one block.
class ClassLogitsTap final : public Tap {
 public:
  ClassLogitsTap(int64_t block, int64_t prefix)
      : block_(block), prefix_(prefix) {}

  bool wants_heads(int64_t i) const override { return i == block_; }
  void heads(int64_t, const Heads& heads) override {
    const auto query = heads.q.select(1, 0).unsqueeze(2);  // [B, n, 1, d]
    const auto keys = heads.k.slice(1, prefix_).transpose(1, 2);
    logits_ = at::matmul(query, keys.transpose(2, 3)).squeeze(2);
  }
  const at::Tensor& logits() const { return logits_; }

 private:
  int64_t block_, prefix_;
  at::Tensor logits_;  // [B, n, N]
};

}  // namespace

Dino::Dino(const ModelConfig& config,
           const Weights& weights,
           const Numerics& numerics,
           TableResize rule,
           Info info,
           const at::Tensor& head_order)
    : VisionEncoder(config, numerics, info), rule_(rule) {
  const Scope visual(weights, "visual.");
  const VisionConfig& v = config.vision;
  patches_ = Linear(visual["patch_embed.proj.weight"].flatten(1),
                    visual["patch_embed.proj.bias"],
                    numerics.ends());
  class_ = visual["cls_token"].flatten();
  if (visual.find("pos_embed").defined()) {
    auto positions = visual["pos_embed"].squeeze(0);
    if (config.foundation.class_position) {
      class_ = class_ + positions[0];
      positions = positions.slice(0, 1);
    }
    table_ = positions.view({v.grid, v.grid, v.width});
  }
  if (config.foundation.registers > 0) {
    registers_ = visual["register_tokens"].squeeze(0);
  }
  for (int64_t i = 0; i < v.layers; ++i) {
    blocks_.emplace_back(
        visual / "blocks" / std::to_string(i), config, numerics, head_order);
  }
  norm_ = LayerNorm(visual / "norm", v.layer_norm_eps, numerics.in_stream());
}

void Dino::check(const at::Tensor&) const {}

void Dino::check_whole_patches(const at::Tensor& image) const {
  const int64_t patch = config_.vision.patch;
  if (image.size(2) % patch == 0 && image.size(3) % patch == 0) return;
  throw Error(ErrorCode::kInvalidArg,
              std::string(config_.family->title) +
                  " takes images whose sides are multiples of its patch, " +
                  std::to_string(patch) + " pixels, received " +
                  std::to_string(image.size(2)) + " x " +
                  std::to_string(image.size(3)) +
                  " (height x width). Crop or pad it; in a pipeline, give "
                  "window or padTo such a multiple.");
}

at::Tensor Dino::embed(const at::Tensor& image) const {
  check(image);
  const int64_t p = config_.vision.patch, batch = image.size(0);
  const auto patches = patches_(patch_pixels(image, p).to(numerics_.dtype))
                           .to(numerics_.stream());
  std::vector<at::Tensor> parts{class_.expand({batch, 1, -1})};
  if (registers_.defined()) parts.push_back(registers_.expand({batch, -1, -1}));
  parts.push_back(
      table_.defined()
          ? patches + resize_table(
                          table_, image.size(2) / p, image.size(3) / p, rule_)
          : patches);
  return at::cat(parts, 1);
}

at::Tensor Dino::block(int64_t i,
                       const at::Tensor& x,
                       Grid grid,
                       const Call&,
                       Heads* heads) const {
  const auto& layers = blocks_[static_cast<size_t>(i)];
  auto own = layers.project(layers.norm1(x));
  // turn() may write where they lie.
  if (heads != nullptr) *heads = {own.q.clone(), own.k.clone(), own.v};
  turn(own, grid);
  return layers.finish(x, attend(own, numerics_));
}

at::Tensor Dino::class_features(const at::Tensor& image,
                                Positions,
                                const Call& call) const {
  const auto patches = grid(image.size(2), image.size(3));
  const auto x = walk(*this, embed(image), 0, depth(), patches, call);
  return norm_(x).select(1, 0).contiguous();
}

Stages Dino::stages(const at::Tensor& image,
                    const StageOptions& options,
                    const Call& call) const {
  const auto patches = grid(image.size(2), image.size(3));
  StageTap tap(options.blocks, depth(), prefix(), patches);
  if (options.features && options.dense.proxy_part == ProxyPart::kQueryKey) {
    const int64_t last = depth() - 1;
    const auto x = walk(*this, embed(image), 0, last, patches, call, {&tap});
    call.check();
    Stages out;
    out.features = query_plus_key(x, patches);
    if (tap.end() > last)
      tap.after(last, block(last, x, patches, call, nullptr));
    out.blocks = tap.take();
    return out;
  }
  const int64_t end = options.features ? depth() : tap.end();
  const auto x = walk(*this, embed(image), 0, end, patches, call, {&tap});
  Stages out{tap.take(), {}};
  if (options.features) out.features = features(x, patches);
  return out;
}

at::Tensor Dino::query_plus_key(const at::Tensor& x, Grid grid) const {
  const auto heads = last().project(last().norm1(x));
  return (heads.q.slice(1, prefix()).to(at::kFloat) +
          heads.k.slice(1, prefix()))
      .flatten(2)
      .transpose(1, 2)
      .reshape({x.size(0), -1, grid.h, grid.w});
}

Dino::Watched Dino::watched(const at::Tensor& image, const Call& call) const {
  const auto patches = grid(image.size(2), image.size(3));
  ClassLogitsTap tap(depth() - 1, prefix());
  const auto x = walk(*this, embed(image), 0, depth(), patches, call, {&tap});
  return {features(x, patches), tap.logits()};
}

at::Tensor Dino::features(const at::Tensor& tokens, Grid grid) const {
  return norm_(tokens)
      .slice(1, prefix())
      .transpose(1, 2)
      .reshape({tokens.size(0), -1, grid.h, grid.w});
}

}  // namespace declip

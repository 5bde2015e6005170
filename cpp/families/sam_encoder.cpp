#include "families/sam_encoder.h"

#include <ATen/ATen.h>

#include <string>

#include "declip/error.h"
#include "families/positions.h"
#include "families/relative_attention.h"
#include "model/patches.h"

namespace declip {
namespace {

int64_t up_to_multiple(int64_t length, int64_t of) {
  return (length + of - 1) / of * of;
}

/// y [1, h * w, C] -> windows of side x side tokens [windows, side * side, C],
/// zeros at the right and bottom, which take part in attention.
at::Tensor to_windows(const at::Tensor& y, int64_t h, int64_t w, int64_t side) {
  const int64_t width = y.size(2);
  const int64_t padded_h = up_to_multiple(h, side);
  const int64_t padded_w = up_to_multiple(w, side);
  return at::constant_pad_nd(
             y.view({h, w, width}), {0, 0, 0, padded_w - w, 0, padded_h - h}, 0)
      .view({padded_h / side, side, padded_w / side, side, width})
      .transpose(1, 2)
      .reshape({-1, side * side, width});
}

/// The inverse; what was padded is cut off.
at::Tensor from_windows(const at::Tensor& y,
                        int64_t h,
                        int64_t w,
                        int64_t side) {
  const int64_t width = y.size(2);
  const int64_t rows = up_to_multiple(h, side) / side;
  const int64_t columns = up_to_multiple(w, side) / side;
  return y.view({rows, columns, side, side, width})
      .transpose(1, 2)
      .reshape({rows * side, columns * side, width})
      .slice(0, 0, h)
      .slice(1, 0, w)
      .reshape({1, h * w, width});
}

/// What single pictures gave, as one batch.
Stages batched(std::vector<Stages> pictures) {
  if (pictures.size() == 1) return std::move(pictures[0]);
  const auto all = [&](const auto& part) {
    std::vector<at::Tensor> parts;
    for (const auto& picture : pictures) parts.push_back(part(picture));
    return at::cat(parts);
  };
  Stages out;
  for (size_t s = 0; s < pictures[0].blocks.size(); ++s) {
    out.blocks.push_back(
        {all([&](const Stages& p) { return p.blocks[s].map; }),
         all([&](const Stages& p) { return p.blocks[s].prefix; })});
  }
  if (pictures[0].features.defined()) {
    out.features = all([](const Stages& p) { return p.features; });
  }
  return out;
}

}  // namespace

Sam::Sam(const ModelConfig& config,
         const Weights& weights,
         const Numerics& numerics)
    : VisionEncoder(config, numerics, {}) {
  const Scope visual(weights, "visual.");
  const VisionConfig& v = config.vision;
  patches_ = Linear(visual["patch_embed.proj.weight"].flatten(1),
                    visual["patch_embed.proj.bias"],
                    numerics.ends());
  table_ = visual["pos_embed"].squeeze(0);
  for (int64_t i = 0; i < v.layers; ++i) {
    const Scope scope = visual / "blocks" / std::to_string(i);
    const Scope attention = scope / "attn";
    layers_.push_back(
        {FoundationBlock(scope, config, numerics),
         attention["rel_pos_h"],
         attention["rel_pos_w"],
         config.foundation.global_blocks[static_cast<size_t>(i)]});
  }
  const auto stream = numerics.ends().in_stream();
  const Scope neck = visual / "neck";
  conv1_ = Linear(neck["conv1.weight"].flatten(1), {}, stream);
  norm1_ = LayerNorm(neck / "norm1", v.layer_norm_eps, stream);
  conv2_ = neck["conv2.weight"];
  norm2_ = LayerNorm(neck / "norm2", v.layer_norm_eps, stream);
}

at::Tensor Sam::class_features(const at::Tensor&,
                               Positions,
                               const Call&) const {
  throw Error(ErrorCode::kWeights,
              "SAM's image encoder has no class token, so there is no vector "
              "of a whole picture; use encodeDense(), encodeBoxes() or "
              "encodeMasks().");
}

Stages Sam::stages(const at::Tensor& image,
                   const StageOptions& options,
                   const Call& call) const {
  const auto patches = grid(image.size(2), image.size(3));
  // One picture has thousands of tokens: together they would only take memory.
  std::vector<Stages> pictures;
  for (int64_t b = 0; b < image.size(0); ++b) {
    StageTap tap(options.blocks, depth(), /*prefix=*/0, patches);
    const int64_t end = options.features ? depth() : tap.end();
    const auto x = walk(
        *this, embed(image.slice(0, b, b + 1)), 0, end, patches, call, {&tap});
    pictures.push_back(
        {tap.take(), options.features ? neck(x, patches) : at::Tensor()});
  }
  return batched(std::move(pictures));
}

at::Tensor Sam::embed(const at::Tensor& image) const {
  const auto [h, w] = grid(image.size(2), image.size(3));
  return patches_(patch_pixels(image, config_.vision.patch).to(numerics_.dtype))
             .to(numerics_.stream()) +
         resize_table(table_, h, w, TableResize::kSize);
}

at::Tensor Sam::block(int64_t i,
                      const at::Tensor& x,
                      Grid grid,
                      const Call& call,
                      Heads* heads) const {
  const Layers& own = layers_[static_cast<size_t>(i)];
  const auto attend_on = [&](const at::Tensor& y, int64_t a, int64_t b) {
    const auto projected = own.block.project(y);
    if (heads != nullptr) *heads = projected;
    return relative_attention(
        projected, own.rows, own.columns, a, b, numerics_, call);
  };
  const auto y = own.block.norm1(x);
  if (own.global) return own.block.finish(x, attend_on(y, grid.h, grid.w));
  const int64_t side = config_.foundation.window;
  const auto merged =
      attend_on(to_windows(y, grid.h, grid.w, side), side, side);
  return own.block.finish(x, from_windows(merged, grid.h, grid.w, side));
}

/// 1 x 1 convolution, norm, 3 x 3 convolution, norm; both norms over the
/// channels of a pixel. [1, h * w, C] -> [1, E, h, w].
at::Tensor Sam::neck(const at::Tensor& x, Grid grid) const {
  const auto as_map = [&](const at::Tensor& tokens) {
    return tokens.transpose(1, 2).reshape(
        {1, config_.vision.embed_dim, grid.h, grid.w});
  };
  const auto narrow = norm1_(conv1_(x.to(numerics_.stream())));
  const auto mixed = at::conv2d(as_map(narrow),
                                conv2_,
                                /*bias=*/{},
                                /*stride=*/1,
                                /*padding=*/1);
  return as_map(norm2_(mixed.flatten(2).transpose(1, 2).contiguous()));
}

}  // namespace declip

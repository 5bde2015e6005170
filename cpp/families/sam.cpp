#include "families/sam.h"

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

}  // namespace

Sam::Sam(const ModelConfig& config,
         const Weights& weights,
         const Numerics& numerics)
    : Teacher(config, numerics) {
  const Scope visual(weights, "visual.");
  const VisionConfig& v = config.vision;
  // The first and the last layer are small and sensitive.
  auto ends = numerics;
  ends.int8 = false;
  patches_ = Linear(visual["patch_embed.proj.weight"].flatten(1),
                    visual["patch_embed.proj.bias"],
                    ends);
  table_ = visual["pos_embed"].squeeze(0);
  for (int64_t i = 0; i < v.layers; ++i) {
    const Scope scope = visual / "blocks" / std::to_string(i);
    const Scope attention = scope / "attn";
    blocks_.push_back(
        {TeacherBlock(scope, config, numerics),
         attention["rel_pos_h"],
         attention["rel_pos_w"],
         config.foundation.global_blocks[static_cast<size_t>(i)]});
  }
  // The neck computes in the stream's dtype.
  auto stream = ends;
  stream.dtype = numerics.stream();
  const Scope neck = visual / "neck";
  conv1_ = Linear(neck["conv1.weight"].flatten(1), {}, stream);
  norm1_ = LayerNorm(neck / "norm1", v.layer_norm_eps, stream);
  conv2_ = neck["conv2.weight"];
  norm2_ = LayerNorm(neck / "norm2", v.layer_norm_eps, stream);
}

at::Tensor Sam::features(const at::Tensor& image, const Call& call) const {
  // One picture has thousands of tokens: together they would only take memory.
  std::vector<at::Tensor> maps;
  for (int64_t i = 0; i < image.size(0); ++i) {
    maps.push_back(encode(image.slice(0, i, i + 1), call));
  }
  return maps.size() == 1 ? maps[0] : at::cat(maps);
}

at::Tensor Sam::class_token(const at::Tensor&, const Call&) const {
  throw Error(ErrorCode::kWeights,
              "SAM's image encoder has no class token, so there is no vector "
              "of a whole picture; use encodeDense(), encodeBoxes() or "
              "encodeMasks().");
}

at::Tensor Sam::encode(const at::Tensor& image, const Call& call) const {
  const int64_t p = config_.vision.patch;
  const int64_t h = image.size(2) / p, w = image.size(3) / p;
  auto x = patches_(patch_pixels(image, p).to(numerics_.dtype))
               .to(numerics_.stream()) +
           resize_table(table_, h, w, TableResize::kSize);  // (1, h * w, C)
  for (const Block& block : blocks_) {
    call.check();
    x = run(block, x, h, w, call);
  }
  return neck(x, h, w);
}

at::Tensor Sam::run(const Block& block,
                    const at::Tensor& x,
                    int64_t h,
                    int64_t w,
                    const Call& call) const {
  const auto attend_on = [&](const at::Tensor& y, int64_t a, int64_t b) {
    return relative_attention(block.layers.project(y),
                              block.rows,
                              block.columns,
                              a,
                              b,
                              numerics_,
                              call);
  };
  const auto y = block.layers.norm1(x);
  if (block.global) return block.layers.finish(x, attend_on(y, h, w));
  const int64_t side = config_.foundation.window;
  const auto merged = attend_on(to_windows(y, h, w, side), side, side);
  return block.layers.finish(x, from_windows(merged, h, w, side));
}

/// 1 x 1 convolution, norm, 3 x 3 convolution, norm; both norms over the
/// channels of a pixel. [1, h * w, C] -> [1, E, h, w].
at::Tensor Sam::neck(const at::Tensor& x, int64_t h, int64_t w) const {
  const auto as_map = [&](const at::Tensor& tokens) {
    return tokens.transpose(1, 2).reshape({1, config_.vision.embed_dim, h, w});
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

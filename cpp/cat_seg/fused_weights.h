#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>

#include "cat_seg/plain_head.h"
#include "kernels/word_maps.h"

namespace declip::cat_seg {

/// What a head of attention may have at most.
constexpr int64_t kWidestHead = 256;

/// Channels and heads as kernels see them, rounded up to vectors.
struct FusedShape {
  int64_t channels = 0, heads = 1;
  bool bfloat16 = false;  // products of the aggregator

  int64_t width() const { return channels / heads; }
  int64_t wide() const { return up(width()); }
  int64_t all() const { return heads * wide(); }
  int64_t stride() const { return up(channels); }
  static int64_t up(int64_t n) {
    return (n + kWordVector - 1) / kWordVector * kWordVector;
  }
};

/// A layer with its weights packed.
struct FusedLayer {
  at::Tensor panels, bias;
  int64_t in = 0, out = 0;

  FusedLayer() = default;
  FusedLayer(const at::Tensor& weight, const at::Tensor& from, bool bfloat16);
  PanelLayer args() const;
};

struct FusedNorm {
  at::Tensor weight, bias;

  FusedNorm() = default;
  FusedNorm(const Tensors& weights, const std::string& name, int64_t width);
  WordNorm args() const;
};

/// What guidance adds to queries and keys: float32 [2 heads wide, guidance] and
/// [2 heads wide].
struct FusedGuide {
  at::Tensor weight, bias;
};

/// Attention over places: both blocks of a layer. The factor on scores is in
/// queries' weights; the values' bias, which attention hands through, in the
/// projection's.
struct FusedSpace {
  FusedNorm guidance_norm;
  struct Block {
    FusedNorm norm1, norm2;
    FusedLayer qkv, proj, fc1, fc2;
    FusedGuide guide;
  };
  std::array<Block, 2> blocks;

  FusedSpace(const Tensors& weights,
             const std::string& layer,
             const FusedShape& shape);
};

/// Attention over words, and what one word that only fills up adds to its sums.
struct FusedClass {
  FusedNorm norm1, norm2;
  FusedLayer qkv, fc1, fc2;
  FusedGuide guide;
  at::Tensor fill_products;  // [heads, width, wide]
  at::Tensor fill_keys;      // [heads, wide]

  FusedClass(const Tensors& weights,
             const std::string& layer,
             const FusedShape& shape);
};

}  // namespace declip::cat_seg

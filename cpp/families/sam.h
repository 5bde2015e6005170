#pragma once

#include <cstdint>
#include <vector>

#include "families/block.h"
#include "families/foundation_model.h"

namespace declip {

/// SAM's image encoder: tokens on a grid, attention within windows but for a
/// few global blocks, positions in the attention scores, and a convolutional
/// neck. Other sizes than the native one as in DeCLIP. Kirillov et al.,
/// arXiv:2304.02643.
class Sam final : public Teacher {
 public:
  Sam(const ModelConfig& config,
      const Weights& weights,
      const Numerics& numerics);

  at::Tensor features(const at::Tensor& image, const Call& call) const override;
  at::Tensor class_token(const at::Tensor& image,
                         const Call& call) const override;

 private:
  struct Block {
    TeacherBlock layers;
    at::Tensor rows, columns;  // relative positions [2 a - 1, d]
    bool global;
  };

  at::Tensor encode(const at::Tensor& image, const Call& call) const;
  at::Tensor run(const Block& block,
                 const at::Tensor& x,
                 int64_t h,
                 int64_t w,
                 const Call& call) const;
  at::Tensor neck(const at::Tensor& x, int64_t h, int64_t w) const;

  Linear patches_;
  at::Tensor table_;  // [N, N, C]
  std::vector<Block> blocks_;
  Linear conv1_;
  at::Tensor conv2_;
  LayerNorm norm1_, norm2_;
};

}  // namespace declip

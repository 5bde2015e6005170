#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "train/detector_norm.h"

namespace declip {

/// F-ViT's heads on the way forward, with gradients: the training form of
/// cpp/detect's, made of the float32 parameters themselves and with the batch's
/// own statistics in every norm. Products are in `products`, everything else,
/// and what is handed out, in float32. Maps are [N, C, h, w] in channels-last
/// memory.
class RecordedHeads {
 public:
  /// tensors under mmdetection's names; they and `norms` outlive this.
  RecordedHeads(const std::map<std::string, at::Tensor>& tensors,
                at::ScalarType products,
                BatchNorms& norms);

  bool masks() const { return masks_; }

  /// Four maps [B, C, G, G] of the tower -> F0..F4.
  std::vector<at::Tensor> pyramid(const std::vector<at::Tensor>& maps) const;

  /// Of every level logits [B, 3, h, w] and deltas [B, 12, h, w].
  struct Regions {
    std::vector<at::Tensor> logits, deltas;
  };
  Regions regions(const std::vector<at::Tensor>& pyramid) const;

  /// Of pooled boxes [N, C, 7, 7].
  struct Boxes {
    at::Tensor embeddings;  // [N, E], behind a ReLU, not of unit length
    at::Tensor deltas;      // [N, 4]
  };
  Boxes boxes(const at::Tensor& pooled) const;

  /// Logits [N, 1, 28, 28] of pooled boxes [N, C, 14, 14].
  at::Tensor mask_logits(const at::Tensor& pooled) const;

 private:
  const at::Tensor& at(const std::string& name) const;
  at::Tensor find(const std::string& name) const;
  at::Tensor linear(const std::string& name, const at::Tensor& x) const;
  at::Tensor conv(const std::string& name, const at::Tensor& x) const;
  at::Tensor upsample(const std::string& name, const at::Tensor& x) const;
  /// A convolution without a bias, its norm, and ReLU if that is wanted.
  at::Tensor normed_conv(const std::string& name,
                         const at::Tensor& x,
                         bool relu) const;
  /// Layers PREFIX0, PREFIX1, ... as far as there are any, a ReLU behind each.
  at::Tensor normed_convs(const std::string& prefix, at::Tensor x) const;
  at::Tensor linears(const std::string& prefix, at::Tensor x) const;

  const std::map<std::string, at::Tensor>& tensors_;
  at::ScalarType products_;
  BatchNorms& norms_;
  bool masks_, rpn_norm_;
};

}  // namespace declip

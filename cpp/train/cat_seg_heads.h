#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>

#include "declip/call.h"
#include "declip/cat_seg.h"

namespace declip {

/// CAT-Seg's head as training differentiates it. Numbers are those of
/// cat_seg/plain_head.h up to rounding; what is common to all words is made
/// once (the guided halves of queries, keys and convolutions, padding words),
/// and attention between places that a shifted window keeps apart is not made
/// at all: their scores are 100 lower, which no other number here can see.
class RecordedCatSeg {
 public:
  /// weights   as plain_head.h has them, float32; must outlive this
  /// products  dtype of products; norms, sums and what is between layers stay
  ///           in float32
  RecordedCatSeg(const CatSegConfig& config,
                 const std::map<std::string, at::Tensor>& weights,
                 at::ScalarType products)
      : config_(config), weights_(weights), products_(products) {}

  /// features [B, E, g, g], first and second [B, D, g, g] of the guiding
  /// blocks, text [T, E] of unit length -> float32 [B, T, 4 g, 4 g]. Cancelled
  /// between layers.
  at::Tensor logits(const at::Tensor& features,
                    const at::Tensor& first,
                    const at::Tensor& second,
                    const at::Tensor& text,
                    int64_t pooling,
                    const Call& call) const;

 private:
  const at::Tensor& weight(const std::string& name) const;
  at::Tensor norm(const std::string& name, const at::Tensor& x) const;
  at::Tensor product(const at::Tensor& x,
                     const at::Tensor& weight,
                     const at::Tensor& bias) const;
  at::Tensor convolved(const at::Tensor& x,
                       const at::Tensor& weight,
                       const at::Tensor& bias) const;
  at::Tensor guide(const std::string& name, const at::Tensor& x) const;
  at::Tensor places(const std::string& block,
                    const at::Tensor& x,
                    const at::Tensor& guidance,
                    bool shifted) const;
  at::Tensor words(const std::string& layer,
                   const at::Tensor& x,
                   const at::Tensor& text,
                   int64_t pictures,
                   int64_t pooling) const;
  at::Tensor decode(const std::string& step,
                    const at::Tensor& x,
                    const at::Tensor& guidance) const;

  const CatSegConfig& config_;
  const std::map<std::string, at::Tensor>& weights_;
  at::ScalarType products_;
};

}  // namespace declip

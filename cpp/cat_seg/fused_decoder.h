#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include "cat_seg/fused_weights.h"

namespace declip::cat_seg {

/// The decoder, a word after the other on every thread. A transposed
/// convolution and the 3 x 3 convolution behind it are one of 3 x 3 places on
/// the smaller map, whose channels are the four places that each becomes; what
/// guidance and the transposed convolution's bias add is common to all words.
/// Convolutions go through tiles (kernels/winograd.h) in float32.
class FusedDecoder {
 public:
  FusedDecoder() = default;
  FusedDecoder(const Tensors& weights, const FusedShape& shape);

  /// x [n, T, g, g, stride], guidance [n, D1, 2 g, 2 g] and [n, D2, 4 g, 4 g];
  /// writes out, contiguous [n, T, 4 g, 4 g].
  void operator()(const at::Tensor& x,
                  const at::Tensor& guidance1,
                  const at::Tensor& guidance2,
                  at::Tensor& out) const;

 private:
  struct Step {
    int64_t in = 0, out = 0;  // channels
    at::Tensor up;            // packed, in -> 4 out
    at::Tensor guide;         // [out, 1 + D, 3, 3]: of the bias, of guidance
    at::Tensor second;        // packed, out -> out
    struct Norm {
      at::Tensor weight, bias;
    };
    std::array<Norm, 2> norms;
  };
  static Step make_step(const Tensors& weights,
                        const std::string& name,
                        int64_t in);
  /// What guidance adds, [n, 2 h, 2 w, out].
  static at::Tensor common(const Step& step, const at::Tensor& guidance);

  std::array<Step, 2> steps_;
  at::Tensor head_;  // [9, channels]
  float head_bias_ = 0;
};

}  // namespace declip::cat_seg

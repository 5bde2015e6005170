#pragma once

#include <ATen/core/Tensor.h>

#include "model/layers.h"

namespace declip {

/// A convolution of 3 x 3 or 1 x 1 places, stride 1, zeros around, so that the
/// result is as large as what came in; bias (or a folded batch norm) and ReLU
/// in the same pass. On the CPU fused numerics take winograd_conv() for 3 x 3
/// places: float32 products whatever the dtype. Maps are [N, C, h, w] in
/// channels-last memory, in and out, in the numerics' dtype. Eager numerics
/// keep LibTorch's operators, which have gradients.
class Conv {
 public:
  Conv() = default;
  /// weight [O, C, k, k], bias [O] or undefined.
  Conv(const at::Tensor& weight,
       const at::Tensor& bias,
       bool relu,
       const Numerics& numerics);

  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;  // packed: five dimensions, and always a bias
  Linear linear_;             // 1 x 1
  bool relu_ = false;
};

/// Transposed convolution of 2 x 2 places with stride 2: [N, C, h, w] to
/// [N, O, 2h, 2w]. One product with 4 O columns whose results are interleaved.
class Upsample2 {
 public:
  Upsample2() = default;
  /// weight [C, O, 2, 2], bias [O] or undefined.
  Upsample2(const at::Tensor& weight,
            const at::Tensor& bias,
            const Numerics& numerics,
            Epilogue epilogue = Epilogue::kNone);

  at::Tensor operator()(const at::Tensor& x) const;

 private:
  Linear linear_;
  int64_t channels_ = 0;
};

/// Weight and bias of a convolution [O, C, k, k] (or, transposed, [C, O, k,
/// k]).
struct Folded {
  at::Tensor weight, bias;
};

/// With the batch norm behind it folded in, evaluated with its running
/// statistics; `bias` may be undefined. In float32.
Folded fold_batch_norm(const at::Tensor& weight,
                       const at::Tensor& bias,
                       const Scope& norm,
                       bool transposed = false);

/// A transposed convolution and the 1 x 1 convolution behind it, with nothing
/// in between, are one transposed convolution: [C, M, 2, 2] and [O, M, 1, 1]
/// make [C, O, 2, 2]. Biases may be undefined; the result has one. In float32.
Folded fold_pointwise(const Folded& upsampling, const Folded& pointwise);

}  // namespace declip

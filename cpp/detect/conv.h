#pragma once

#include <ATen/core/Tensor.h>

#include "model/layers.h"

namespace declip {

/// A convolution of 3 x 3 or 1 x 1 places, stride 1, zeros around, so that the
/// result is as large as what came in; bias (or a folded batch norm) and ReLU
/// in the same pass. Maps are [N, C, h, w] in channels-last memory, in and out.
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
  at::Tensor weight_, bias_;
  bool relu_ = false;
};

/// Transposed convolution of 2 x 2 places with stride 2: [N, C, h, w] to
/// [N, O, 2h, 2w]. One product with 4 O columns whose results are interleaved.
class Upsample2 {
 public:
  Upsample2() = default;
  /// weight [C, O, 2, 2], bias [O].
  Upsample2(const at::Tensor& weight,
            const at::Tensor& bias,
            const Numerics& numerics);

  at::Tensor operator()(const at::Tensor& x) const;

 private:
  Linear linear_;
  int64_t channels_ = 0;
};

/// Weight and bias of a convolution [O, C, k, k] (or, transposed, [C, O, k, k])
/// with the batch norm behind it folded in, evaluated with its running
/// statistics.
struct Folded {
  at::Tensor weight, bias;
};
Folded fold_batch_norm(const at::Tensor& weight,
                       const at::Tensor& bias,
                       const Scope& norm,
                       bool transposed = false);

}  // namespace declip

#include "detect/mask_head.h"

#include <ATen/ATen.h>

#include "detect/box_head.h"

namespace declip {

MaskHead::MaskHead(const Scope& scope, const Numerics& numerics)
    : dtype_(numerics.dtype),
      convs_(normed_convolutions(scope / "convs", numerics)),
      up_((scope / "upsample")["weight"],
          (scope / "upsample")["bias"],
          numerics,
          Epilogue::kRelu),
      out_((scope / "conv_logits")["weight"],
           (scope / "conv_logits")["bias"],
           false,
           numerics) {}

at::Tensor MaskHead::operator()(const at::Tensor& pooled) const {
  auto x = pooled.to(dtype_);
  for (const Conv& conv : convs_) x = conv(x);
  return out_(up_(x)).select(1, 0).to(at::kFloat);
}

}  // namespace declip

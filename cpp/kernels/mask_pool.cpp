#include "kernels/mask_pool.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "declip/size.h"

namespace declip {

at::Tensor mask_pool(const at::Tensor& features,
                     const at::Tensor& masks,
                     const at::Tensor& batch) {
  if (features.dim() != 4 || masks.dim() != 3 || batch.dim() != 1 ||
      masks.size(1) != features.size(2) || masks.size(2) != features.size(3) ||
      batch.size(0) != masks.size(0)) {
    throw Error(
        ErrorCode::kInvalidArg,
        "mask pooling takes features [B, C, h, w], masks [K, h, w] on the "
        "same grid and one picture index per mask.");
  }
  const auto pictures = batch.to(features.device(), at::kLong);
  if (pictures.numel() > 0 &&
      (pictures.min().item<int64_t>() < 0 ||
       pictures.max().item<int64_t>() >= features.size(0))) {
    throw Error(ErrorCode::kInvalidArg,
                "a mask's picture index lies outside the batch.");
  }
  // In float32: 1e-12 is nothing in half precision.
  const auto options = features.options().dtype(at::kFloat);
  auto pooled = at::zeros({masks.size(0), features.size(1)}, options);
  for (int64_t b = 0; b < features.size(0); ++b) {
    const auto chosen = pictures.eq(b).nonzero().squeeze(1);
    if (chosen.numel() == 0) continue;
    const auto weights = masks.to(options).index_select(0, chosen).flatten(1);
    const auto sums =
        at::matmul(weights, features[b].to(at::kFloat).flatten(1).t());
    pooled =
        pooled.index_copy(0, chosen, sums / (weights.sum(1, true) + 1e-12));
  }
  return pooled.to(features.scalar_type());
}

at::Tensor resize_masks_bicubic(const at::Tensor& masks,
                                int64_t height,
                                int64_t width) {
  if (masks.dim() != 3) {
    throw Error(ErrorCode::kInvalidArg, "masks must be [K, H, W].");
  }
  check_size({masks.size(1), masks.size(2)}, "A mask");
  check_size({height, width}, "The patch grid");
  if (masks.size(0) == 0) return at::empty({0, height, width}, at::kBool);
  return at::upsample_bicubic2d(masks.to(at::kFloat).unsqueeze(1),
                                {height, width},
                                /*align_corners=*/false)
      .squeeze(1)
      .gt(0);
}

}  // namespace declip

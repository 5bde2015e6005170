#include "kernels/mask_pool.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "declip/size.h"
#include "kernels/cuda/on_device.h"
#include "kernels/mask_pool_args.h"
#include "kernels/region_pool.h"

namespace declip {
namespace {

/// masks [k, h, w], bool or float32 -> [k, h * w], on their device.
at::Tensor weights_of(const at::Tensor& masks) {
  MaskPoolArgs args;
  args.masks = masks.const_data_ptr();
  args.bytes = masks.scalar_type() == at::kBool;
  args.count = masks.size(0);
  args.pixels = masks.size(1) * masks.size(2);
  const auto weights =
      at::empty({args.count, args.pixels}, masks.options().dtype(at::kFloat));
  args.weights = weights.mutable_data_ptr<float>();
  if (weights.numel() > 0) DECLIP_RUN_TWIN(masks, mask_pool_weights, args);
  return weights;
}

}  // namespace

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
  auto all = masks.detach().to(at::kCPU);
  if (all.scalar_type() != at::kBool) all = all.to(at::kFloat);
  return pool_regions(
             features,
             batch.to(at::kCPU, at::kLong).contiguous(),
             /*rows=*/1,
             [&](const at::Tensor& chosen) {
               return weights_of(all.index_select(0, chosen).contiguous().to(
                   features.device()));
             })
      .squeeze(1);
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

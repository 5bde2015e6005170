#include "kernels/roi_align.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "declip/error.h"
#include "kernels/cuda/on_device.h"
#include "kernels/region_pool.h"
#include "kernels/roi_align_args.h"

namespace declip {
namespace {

constexpr float kMaxSide = 65536;  // patches; bounds the samples of a box

void check_side(float low, float high) {
  if (std::isfinite(low) && std::isfinite(high) && high >= low &&
      high - low <= kMaxSide) {
    return;
  }
  throw Error(ErrorCode::kInvalidArg,
              "a box must be finite x1, y1, x2, y2 with x2 >= x1 and y2 >= y1, "
              "received a side from " +
                  std::to_string(low) + " to " + std::to_string(high) +
                  " patches.");
}

/// boxes float32 [k, 4] in patches -> [k * bins, h * w], on their device.
at::Tensor weights_of(const at::Tensor& boxes,
                      const at::Tensor& features,
                      int64_t out_height,
                      int64_t out_width) {
  RoiAlignArgs args;
  args.boxes = boxes.const_data_ptr<float>();
  args.count = boxes.size(0);
  args.height = features.size(2);
  args.width = features.size(3);
  args.out_height = out_height;
  args.out_width = out_width;
  const auto weights =
      at::empty({args.count * out_height * out_width, args.height * args.width},
                boxes.options());
  args.weights = weights.mutable_data_ptr<float>();
  if (weights.numel() > 0) DECLIP_RUN_TWIN(boxes, roi_align_weights, args);
  return weights;
}

}  // namespace

at::Tensor roi_align(const at::Tensor& features,
                     const at::Tensor& boxes,
                     const at::Tensor& batch,
                     double scale_y,
                     double scale_x,
                     int64_t out_height,
                     int64_t out_width) {
  if (features.dim() != 4 || boxes.dim() != 2 || boxes.size(1) != 4 ||
      batch.dim() != 1 || batch.size(0) != boxes.size(0) || out_height < 1 ||
      out_width < 1) {
    throw Error(ErrorCode::kInvalidArg,
                "RoIAlign takes features [B, C, h, w], boxes [K, 4] and one "
                "picture index per box.");
  }
  const auto sx = static_cast<float>(scale_x);
  const auto sy = static_cast<float>(scale_y);
  const auto patches =
      boxes.detach().to(at::kCPU, at::kFloat) * at::tensor({sx, sy, sx, sy});
  const float* corner = patches.const_data_ptr<float>();
  for (int64_t k = 0; k < boxes.size(0); ++k, corner += 4) {
    check_side(corner[0], corner[2]);
    check_side(corner[1], corner[3]);
  }
  return pool_regions(features,
                      batch.to(at::kCPU, at::kLong).contiguous(),
                      out_height * out_width,
                      [&](const at::Tensor& chosen) {
                        return weights_of(patches.index_select(0, chosen).to(
                                              features.device()),
                                          features,
                                          out_height,
                                          out_width);
                      })
      .transpose(1, 2)
      .unflatten(2, {out_height, out_width});
}

}  // namespace declip

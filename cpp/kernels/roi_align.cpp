#include "kernels/roi_align.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <vector>

#include "declip/error.h"
#include "kernels/roi_align_math.h"

namespace declip {
namespace {

constexpr float kMaxSide = 65536;  // patches; bounds the samples of a box

/// Weights [bins, extent] of one axis of a box, given in patches.
at::Tensor axis_weights(float low, float high, int64_t extent, int64_t bins) {
  auto weights = at::zeros({bins, extent}, at::kFloat);
  const float start = low - 0.5f;
  const float size = (high - 0.5f - start) / static_cast<float>(bins);
  const auto samples = static_cast<int64_t>(std::ceil(size));
  for (int64_t bin = 0; bin < bins; ++bin) {
    add_bin_weights(start + static_cast<float>(bin) * size,
                    size,
                    samples,
                    extent,
                    weights.mutable_data_ptr<float>() + bin * extent);
  }
  return weights;
}

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
  const int64_t count = boxes.size(0);
  const auto corners = boxes.to(at::kCPU, at::kFloat).contiguous();
  const auto pictures = batch.to(at::kCPU, at::kLong).contiguous();
  const float* corner = corners.const_data_ptr<float>();
  const int64_t* picture = pictures.const_data_ptr<int64_t>();
  const auto sx = static_cast<float>(scale_x);
  const auto sy = static_cast<float>(scale_y);

  std::vector<at::Tensor> pooled;
  for (int64_t k = 0; k < count; ++k, corner += 4) {
    if (picture[k] < 0 || picture[k] >= features.size(0)) {
      throw Error(ErrorCode::kInvalidArg,
                  "a box's picture index must be 0.." +
                      std::to_string(features.size(0) - 1) + ", received " +
                      std::to_string(picture[k]) + ".");
    }
    check_side(corner[0] * sx, corner[2] * sx);
    check_side(corner[1] * sy, corner[3] * sy);
    const auto columns =
        axis_weights(
            corner[0] * sx, corner[2] * sx, features.size(3), out_width)
            .to(features.options());
    const auto rows =
        axis_weights(
            corner[1] * sy, corner[3] * sy, features.size(2), out_height)
            .to(features.options());
    // (oh, h) x (C, h, w) x (w, ow)
    pooled.push_back(
        at::matmul(rows, at::matmul(features[picture[k]], columns.t())));
  }
  if (pooled.empty()) {
    return at::empty({0, features.size(1), out_height, out_width},
                     features.options());
  }
  return at::stack(pooled);
}

}  // namespace declip

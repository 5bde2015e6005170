#include "kernels/pamr.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "declip/error.h"
#include "declip/size.h"
#include "kernels/cuda/on_device.h"
#include "kernels/pamr_args.h"

namespace declip {
namespace {

constexpr int64_t kMaxDilation = 1024;
constexpr int64_t kMaxIterations = 1000;

int64_t largest(const std::vector<int64_t>& dilations) {
  return *std::max_element(dilations.begin(), dilations.end());
}

void check_dilations(const std::vector<int64_t>& dilations) {
  const bool ok =
      !dilations.empty() &&
      static_cast<int64_t>(dilations.size()) <= kMaxDilations &&
      std::all_of(dilations.begin(), dilations.end(), [](int64_t d) {
        return d >= 1 && d <= kMaxDilation;
      });
  if (ok) return;
  std::string text;
  for (const int64_t d : dilations)
    text += (text.empty() ? "" : ", ") + std::to_string(d);
  throw Error(ErrorCode::kInvalidArg,
              "pamr.dilations must be 1 to 8 distances of 1 to 1024 pixels, "
              "received [" +
                  text + "].");
}

/// A [planes, height, width + 2 * margin] buffer as PaddedPlanes.
PaddedPlanes padded(const at::Tensor& buffer, int64_t margin) {
  return {buffer.mutable_data_ptr<float>() + margin,
          buffer.size(2),
          buffer.size(1) * buffer.size(2),
          margin};
}

/// Copies [K, H, W] into the middle of `buffer` and the edge values outwards.
void fill_padded(const at::Tensor& buffer,
                 const at::Tensor& planes,
                 int64_t margin) {
  const int64_t width = planes.size(2);
  buffer.narrow(2, margin, width).copy_(planes);
  buffer.narrow(2, 0, margin)
      .copy_(planes.narrow(2, 0, 1).expand({-1, -1, margin}));
  buffer.narrow(2, margin + width, margin)
      .copy_(planes.narrow(2, width - 1, 1).expand({-1, -1, margin}));
}

PamrShape shape_of(const PamrAffinity& affinity) {
  PamrShape shape;
  shape.height = affinity.weights.size(0);
  shape.width = affinity.weights.size(2);
  for (const int64_t dilation : affinity.dilations)
    shape.dilations[shape.dilation_count++] = dilation;
  return shape;
}

}  // namespace

PamrAffinity pamr_affinity(const at::Tensor& image,
                           const std::vector<int64_t>& dilations) {
  check_dilations(dilations);
  if (image.dim() != 4 || image.size(0) != 1 || image.size(1) != 3 ||
      image.scalar_type() != at::kFloat) {
    throw Error(ErrorCode::kInvalidArg,
                "PAMR takes a float32 image [1, 3, H, W].");
  }
  const int64_t height = image.size(2), width = image.size(3);
  check_size({height, width}, "PAMR's image");
  const int64_t margin = largest(dilations);
  PamrAffinity affinity;
  affinity.dilations = dilations;
  affinity.padded =
      at::empty({2, kPamrPlanes, height, width + 2 * margin}, image.options());
  const auto buffer = affinity.padded[0].narrow(0, 0, 3);
  fill_padded(buffer, image[0], margin);
  affinity.weights =
      at::empty({height, 8 * static_cast<int64_t>(dilations.size()), width},
                image.options());
  const PamrShape shape = shape_of(affinity);
  float* weights = affinity.weights.mutable_data_ptr<float>();
  DECLIP_RUN_TWIN(image, pamr_affinity, shape, padded(buffer, margin), weights);
  return affinity;
}

void pamr_apply(const PamrAffinity& affinity,
                const at::Tensor& planes,
                int64_t count,
                int64_t iterations,
                const Call& call) {
  const PamrShape shape = shape_of(affinity);
  if (planes.dim() != 3 || count < 1 || count > kPamrPlanes ||
      planes.size(0) < count || planes.size(1) != shape.height ||
      planes.size(2) != shape.width || planes.scalar_type() != at::kFloat ||
      planes.device() != affinity.weights.device()) {
    throw Error(
        ErrorCode::kInternal,
        "pamr_apply() takes 1 to 4 float32 planes of the image's size.");
  }
  if (iterations < 0 || iterations > kMaxIterations) {
    throw Error(ErrorCode::kInvalidArg,
                "pamr.iterations must be 0 to 1000, received " +
                    std::to_string(iterations) + ".");
  }
  if (iterations == 0) return;
  const int64_t margin = largest(affinity.dilations);
  const auto used = planes.narrow(0, 0, count);
  fill_padded(affinity.padded[0].narrow(0, 0, count), used, margin);
  PaddedPlanes in = padded(affinity.padded[0], margin);
  PaddedPlanes out = padded(affinity.padded[1], margin);
  const float* weights = affinity.weights.const_data_ptr<float>();
  for (int64_t i = 0; i < iterations; ++i) {
    call.check();
    DECLIP_RUN_TWIN(planes, pamr_step, shape, weights, in, out, count);
    std::swap(in, out);
  }
  const int64_t last = iterations % 2;  // the buffer that was written last
  used.copy_(
      affinity.padded[last].narrow(0, 0, count).narrow(2, margin, shape.width));
}

at::Tensor pamr(const at::Tensor& image,
                const at::Tensor& masks,
                int64_t iterations,
                const std::vector<int64_t>& dilations,
                const Call& call) {
  if (masks.dim() != 3) {
    throw Error(ErrorCode::kInvalidArg, "PAMR takes masks [Q, h, w].");
  }
  const PamrAffinity affinity = pamr_affinity(image, dilations);
  const int64_t height = image.size(2), width = image.size(3);
  const bool same = masks.size(1) == height && masks.size(2) == width;
  auto planes =
      same ? masks.to(at::kFloat).contiguous().clone()
           : at::upsample_bilinear2d(
                 masks.to(at::kFloat).unsqueeze(0), {height, width}, true)[0]
                 .contiguous();
  for (int64_t q = 0; q < planes.size(0); q += kPamrPlanes) {
    const int64_t count = std::min(kPamrPlanes, planes.size(0) - q);
    pamr_apply(affinity, planes.narrow(0, q, count), count, iterations, call);
  }
  return planes;
}

}  // namespace declip

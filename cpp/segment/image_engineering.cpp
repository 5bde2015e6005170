#include "segment/image_engineering.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <string>

#include "declip/error.h"

namespace declip {
namespace {

constexpr int64_t kBlurRadius = 5;
constexpr double kBlurSigma = 5.0;

/// 1-D taps exp(-(i / sigma)^2 / 2), i = -5..5, divided by their sum.
at::Tensor blur_taps(const at::TensorOptions& options) {
  const auto i = at::arange(-kBlurRadius, kBlurRadius + 1, at::kDouble);
  const auto taps = at::exp(-0.5 * (i / kBlurSigma).square());
  return (taps / taps.sum()).to(options);
}

}  // namespace

at::Tensor grey_copy(const at::Tensor& x) {
  const auto grey =
      0.2989 * x.select(1, 0) + 0.587 * x.select(1, 1) + 0.114 * x.select(1, 2);
  return grey.unsqueeze(1).expand_as(x).contiguous();
}

at::Tensor blurred_copy(const at::Tensor& x) {
  const int64_t channels = x.size(1);
  if (x.size(2) <= kBlurRadius || x.size(3) <= kBlurRadius) {
    throw Error(ErrorCode::kInvalidArg,
                "augment blurs windows of at least 6 x 6 pixels, received " +
                    std::to_string(x.size(2)) + " x " +
                    std::to_string(x.size(3)) +
                    "; turn augment off for pictures this small.");
  }
  // Separable: 2 x 11 products per pixel instead of 121.
  const auto taps = blur_taps(x.options());
  const int64_t length = taps.size(0);
  const auto rows =
      taps.view({1, 1, length, 1}).expand({channels, 1, length, 1});
  const auto columns =
      taps.view({1, 1, 1, length}).expand({channels, 1, 1, length});
  const auto padded = at::reflection_pad2d(
      x, {kBlurRadius, kBlurRadius, kBlurRadius, kBlurRadius});
  const auto blur = [&](const at::Tensor& in, const at::Tensor& weight) {
    return at::conv2d(in,
                      weight,
                      {},
                      at::IntArrayRef{1},
                      at::IntArrayRef{0},
                      at::IntArrayRef{1},
                      channels);
  };
  return blur(blur(padded, rows), columns);
}

at::Tensor flip_vertical(const at::Tensor& x) { return x.flip({2}); }

at::Tensor flip_horizontal(const at::Tensor& x) { return x.flip({3}); }

}  // namespace declip

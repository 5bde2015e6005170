#include "image/windows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "declip/error.h"
#include "declip/size.h"

namespace declip {
namespace {

/// First pixels of the windows along one axis.
std::vector<int64_t> window_starts(int64_t extent,
                                   int64_t side,
                                   int64_t stride) {
  const int64_t count =
      std::max<int64_t>(extent - side + stride - 1, 0) / stride + 1;
  std::vector<int64_t> starts(count);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t end = std::min(i * stride + side, extent);
    starts[i] = std::max<int64_t>(end - side, 0);
  }
  return starts;
}

/// Pixels that take `extent` up to a multiple.
int64_t missing_pixels(int64_t extent, int64_t multiple) {
  return (multiple - extent % multiple) % multiple;
}

}  // namespace

Window WindowPlan::operator[](int64_t index) const {
  const auto columns = static_cast<int64_t>(lefts.size());
  const int64_t y1 = tops[index / columns];
  const int64_t x1 = lefts[index % columns];
  return {y1, x1, y1 + window_height, x1 + window_width};
}

int64_t WindowPlan::padded_height() const {
  return padding.top + window_height + padding.bottom;
}

int64_t WindowPlan::padded_width() const {
  return padding.left + window_width + padding.right;
}

WindowPlan plan_windows(int64_t height,
                        int64_t width,
                        int64_t side,
                        int64_t stride,
                        int64_t pad_to) {
  check_size({height, width}, "The image");
  if (side < 0 || (side > 0 && (stride < 1 || stride > side))) {
    throw Error(ErrorCode::kInvalidArg,
                "stride must be 1.." +
                    std::to_string(std::max<int64_t>(side, 1)) +
                    " (window), received stride " + std::to_string(stride) +
                    " and window " + std::to_string(side) + ".");
  }
  if (pad_to < 1 || pad_to > 4096) {
    throw Error(ErrorCode::kInvalidArg,
                "padTo must be 1 to 4096 pixels, received " +
                    std::to_string(pad_to) + ".");
  }
  WindowPlan plan;
  plan.height = height;
  plan.width = width;
  plan.whole = side == 0;
  plan.window_height = plan.whole ? height : std::min(side, height);
  plan.window_width = plan.whole ? width : std::min(side, width);
  plan.tops = plan.whole ? std::vector<int64_t>{0}
                         : window_starts(height, side, stride);
  plan.lefts =
      plan.whole ? std::vector<int64_t>{0} : window_starts(width, side, stride);
  const int64_t rows = missing_pixels(plan.window_height, pad_to);
  const int64_t columns = missing_pixels(plan.window_width, pad_to);
  plan.padding = {
      rows / 2, columns / 2, rows - rows / 2, columns - columns / 2};
  return plan;
}

at::Tensor cut_windows(const at::Tensor& image,
                       const WindowPlan& plan,
                       int64_t first,
                       int64_t last) {
  auto batch = at::zeros(
      {last - first, image.size(1), plan.padded_height(), plan.padded_width()},
      image.options());
  auto inner = batch.narrow(2, plan.padding.top, plan.window_height)
                   .narrow(3, plan.padding.left, plan.window_width);
  for (int64_t i = first; i < last; ++i) {
    const Window window = plan[i];
    inner[i - first].copy_(image[0]
                               .narrow(1, window.y1, plan.window_height)
                               .narrow(2, window.x1, plan.window_width));
  }
  return batch;
}

}  // namespace declip

#include "kernels/nms.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "declip/error.h"
#include "kernels/cuda/on_device.h"
#include "kernels/nms_args.h"

namespace declip {
namespace {

/// Above it are exactly the float32 numbers that are above `threshold`: it is
/// the largest of those that are not.
float largest_below(double threshold) {
  const auto rounded = static_cast<float>(threshold);
  if (!(static_cast<double>(rounded) > threshold)) return rounded;
  return std::nextafter(rounded, -std::numeric_limits<float>::infinity());
}

}  // namespace

at::Tensor nms(const at::Tensor& boxes,
               const at::Tensor& scores,
               double threshold,
               const at::Tensor& classes) {
  const bool fits = boxes.dim() == 2 && boxes.size(1) == 4 &&
                    boxes.scalar_type() == at::kFloat && scores.dim() == 1 &&
                    scores.size(0) == boxes.size(0) &&
                    scores.is_floating_point() &&
                    (!classes.defined() ||
                     (classes.dim() == 1 && classes.size(0) == boxes.size(0) &&
                      classes.scalar_type() == at::kLong));
  if (!fits) {
    throw Error(ErrorCode::kInvalidArg,
                "NMS takes boxes as float32 [K, 4], a score for each and, "
                "where there are classes, an int64 for each.");
  }
  const auto order = std::get<1>(scores.to(boxes.device())
                                     .sort(/*stable=*/true,
                                           /*dim=*/0,
                                           /*descending=*/true));
  const auto sorted = boxes.index_select(0, order).contiguous();
  const auto sorted_classes =
      classes.defined()
          ? classes.to(boxes.device()).index_select(0, order).contiguous()
          : at::Tensor();
  const int64_t count = boxes.size(0);
  const auto kept = at::empty({count}, boxes.options().dtype(at::kByte));
  NmsArgs args;
  args.boxes = sorted.const_data_ptr<float>();
  if (classes.defined())
    args.classes = sorted_classes.const_data_ptr<int64_t>();
  args.count = count;
  args.threshold = largest_below(threshold);
  args.kept = kept.mutable_data_ptr<uint8_t>();
  at::Tensor overlaps;
  if (boxes.is_cuda()) {
    overlaps = at::zeros({count + 1, (count + 63) / 64},
                         boxes.options().dtype(at::kLong));
    args.overlaps =
        reinterpret_cast<uint64_t*>(overlaps.mutable_data_ptr<int64_t>());
  }
  if (count > 0) DECLIP_RUN_TWIN(boxes, nms, args);
  return order.masked_select(kept.to(at::kBool));
}

}  // namespace declip

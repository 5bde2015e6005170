#include "kernels/nms.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "declip/error.h"
#include "kernels/cuda/on_device.h"
#include "kernels/nms_args.h"
#include "kernels/score_order.h"

namespace declip {
namespace {

/// Boxes to look at first where only some are to be kept.
constexpr int64_t kFirstBoxes = 4096;

/// Below it float32 has steps of at most a quarter.
constexpr double kExactEnough = 4194304;  // 2^22

/// Above it are exactly the float32 numbers that are above `threshold`: it is
/// the largest of those that are not.
float largest_below(double threshold) {
  const auto rounded = static_cast<float>(threshold);
  if (!(static_cast<double>(rounded) > threshold)) return rounded;
  return std::nextafter(rounded, -std::numeric_limits<float>::infinity());
}

struct Shift {
  float step = 0;
  bool apart = true;
};

/// How far classes are moved apart, and whether comparing within them alone is
/// sure to be the same: where no coordinate is negative and float32's steps
/// are small, a gap of at least half a unit stays between two of them.
Shift shift_of(const at::Tensor& boxes, const at::Tensor& classes) {
  const auto [low, high] = boxes.aminmax();
  const auto [first, last] = classes.aminmax();
  const float largest = high.item<float>();
  Shift shift;
  shift.step = largest + 1.0f;
  const double end = (static_cast<double>(last.item<int64_t>()) + 1) *
                     static_cast<double>(shift.step);
  shift.apart = boxes.size(0) >= kNmsApart ||
                (low.item<float>() >= 0 && first.item<int64_t>() >= 0 &&
                 end < kExactEnough);
  return shift;
}

}  // namespace

at::Tensor nms(const at::Tensor& boxes,
               const at::Tensor& scores,
               double threshold,
               const at::Tensor& classes,
               int64_t limit) {
  const bool fits = boxes.dim() == 2 && boxes.size(1) == 4 &&
                    boxes.scalar_type() == at::kFloat && scores.dim() == 1 &&
                    scores.size(0) == boxes.size(0) &&
                    scores.is_floating_point() && threshold >= 0 &&
                    (!classes.defined() ||
                     (classes.dim() == 1 && classes.size(0) == boxes.size(0) &&
                      classes.scalar_type() == at::kLong));
  if (!fits) {
    throw Error(ErrorCode::kInvalidArg,
                "NMS takes boxes as float32 [K, 4], a score for each, a "
                "threshold of at least 0 and, where there are classes, an "
                "int64 for each.");
  }
  const int64_t count = boxes.size(0);
  if (count == 0 || limit == 0) {
    return at::empty({0}, boxes.options().dtype(at::kLong));
  }
  const auto values = scores.detach().to(boxes.device(), at::kFloat);
  NmsArgs args;
  args.threshold = largest_below(threshold);
  at::Tensor numbers;
  if (classes.defined()) {
    numbers = classes.to(boxes.device());
    const Shift shift = shift_of(boxes, numbers);
    args.shift = shift.step;
    args.apart = shift.apart;
  }
  int64_t some = count;
  if (limit > 0) some = std::min(count, std::max(kFirstBoxes, 8 * limit));
  for (;; some = std::min(count, 8 * some)) {
    const auto order = order_by_score(values, some);
    const auto sorted = boxes.index_select(0, order).contiguous();
    const auto sorted_classes =
        numbers.defined() ? numbers.index_select(0, order) : at::Tensor();
    const auto kept = at::empty({some}, boxes.options().dtype(at::kByte));
    args.boxes = sorted.const_data_ptr<float>();
    args.classes =
        numbers.defined() ? sorted_classes.const_data_ptr<int64_t>() : nullptr;
    args.count = some;
    args.limit = limit < 0 ? some : limit;
    args.kept = kept.mutable_data_ptr<uint8_t>();
    at::Tensor overlaps;
    if (boxes.is_cuda()) {
      overlaps = at::zeros({some + 1, (some + 63) / 64},
                           boxes.options().dtype(at::kLong));
      args.overlaps =
          reinterpret_cast<uint64_t*>(overlaps.mutable_data_ptr<int64_t>());
    }
    DECLIP_RUN_TWIN(boxes, nms, args);
    auto chosen = order.masked_select(kept.to(at::kBool));
    if (some == count || chosen.size(0) == limit) return chosen;
  }
}

}  // namespace declip

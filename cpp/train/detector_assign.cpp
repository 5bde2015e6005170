#include "train/detector_assign.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/macros/Macros.h>

#include <algorithm>
#include <mutex>

namespace declip {
namespace {

/// Boxes that a thread takes at a time.
constexpr int64_t kGrain = 2048;

struct Corners {
  float x1, y1, x2, y2;
  float area() const { return (x2 - x1) * (y2 - y1); }
};
static_assert(sizeof(Corners) == 4 * sizeof(float));

/// Never inlined: the same two boxes must have the same bits at both places
/// that ask.
C10_NOINLINE float overlap(const Corners& a,
                           float area_a,
                           const Corners& b,
                           float area_b) {
  const float w = std::max(std::min(a.x2, b.x2) - std::max(a.x1, b.x1), 0.0f);
  const float h = std::max(std::min(a.y2, b.y2) - std::max(a.y1, b.y1), 0.0f);
  const float both = w * h;
  return both / std::max(area_a + area_b - both, 1e-6f);
}

}  // namespace

std::vector<int64_t> assign_boxes(const at::Tensor& boxes,
                                  const at::Tensor& truth,
                                  const AssignRule& rule) {
  const int64_t n = boxes.size(0), count = truth.size(0);
  std::vector<int64_t> out(static_cast<size_t>(n), 0);
  if (n == 0 || count == 0) return out;
  const auto rows = boxes.contiguous(), known = truth.contiguous();
  const auto* box =
      reinterpret_cast<const Corners*>(rows.const_data_ptr<float>());
  const auto* gt =
      reinterpret_cast<const Corners*>(known.const_data_ptr<float>());
  const auto positive = static_cast<float>(rule.positive);
  const auto negative = static_cast<float>(rule.negative);
  std::vector<float> best(static_cast<size_t>(count), 0);
  std::mutex mutex;
  at::parallel_for(0, n, kGrain, [&](int64_t begin, int64_t end) {
    std::vector<float> mine(static_cast<size_t>(count), 0);
    for (int64_t i = begin; i < end; ++i) {
      const float area = box[i].area();
      float highest = -1;
      int64_t which = 0;
      for (int64_t g = 0; g < count; ++g) {
        const float iou = overlap(gt[g], gt[g].area(), box[i], area);
        auto& of_truth = mine[static_cast<size_t>(g)];
        of_truth = std::max(of_truth, iou);
        if (iou > highest) {
          highest = iou;
          which = g;
        }
      }
      out[static_cast<size_t>(i)] = highest >= positive  ? which + 1
                                    : highest < negative ? 0
                                                         : -1;
    }
    const std::lock_guard lock(mutex);
    for (size_t g = 0; g < best.size(); ++g) {
      best[g] = std::max(best[g], mine[g]);
    }
  });
  if (!rule.low_quality) return out;
  at::parallel_for(0, n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float area = box[i].area();
      for (int64_t g = 0; g < count; ++g) {
        const float wanted = best[static_cast<size_t>(g)];
        if (wanted >= static_cast<float>(rule.least) &&
            overlap(gt[g], gt[g].area(), box[i], area) == wanted) {
          out[static_cast<size_t>(i)] = g + 1;
        }
      }
    }
  });
  return out;
}

}  // namespace declip

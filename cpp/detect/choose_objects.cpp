#include <ATen/ATen.h>

#include "declip/error.h"
#include "detect/boxes.h"
#include "kernels/nms.h"

namespace declip {

Kept choose_objects(const at::Tensor& boxes,
                    const at::Tensor& scores,
                    double score_threshold,
                    double nms_threshold,
                    int64_t limit) {
  const int64_t classes = scores.size(1) - 1;
  // NaN is above nothing; boxes that are NaN go as well.
  const auto sound = boxes.isfinite().all(1).unsqueeze(1);
  const auto places = scores.slice(1, 0, classes)
                          .gt(static_cast<float>(score_threshold))
                          .logical_and(sound)
                          .nonzero();
  const auto rows = places.select(1, 0), labels = places.select(1, 1);
  const auto candidates = boxes.index_select(0, rows);
  const auto score = scores.index({rows, labels});
  // mmcv compares float32 overlaps with a float32 threshold.
  const auto kept = nms(candidates,
                        score,
                        static_cast<float>(nms_threshold),
                        labels.contiguous(),
                        limit);
  return {candidates.index_select(0, kept),
          score.index_select(0, kept),
          labels.index_select(0, kept),
          rows.index_select(0, kept)};
}

}  // namespace declip

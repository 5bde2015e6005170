#include "evaluate/metrics.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <string>

#include "declip/error.h"

namespace declip {
namespace {

double ratio(int64_t part, int64_t whole) {
  if (whole == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(part) / static_cast<double>(whole);
}

/// Mean over the values that are numbers.
double mean(const std::vector<double>& values) {
  double sum = 0;
  int64_t count = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return count == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : sum / static_cast<double>(count);
}

}  // namespace

ClassAreas::ClassAreas(int64_t classes) {
  if (classes < 1 || classes > 65536) {
    throw Error(ErrorCode::kInvalidArg,
                "classes must be 1 to 65536, received " +
                    std::to_string(classes) + ".");
  }
  intersect.resize(classes);
  prediction.resize(classes);
  label.resize(classes);
}

void ClassAreas::add(const at::Tensor& predicted,
                     const at::Tensor& labelled,
                     int64_t ignore) {
  if (predicted.sizes() != labelled.sizes()) {
    throw Error(ErrorCode::kInvalidArg,
                "prediction and label must have the same shape.");
  }
  const auto a = predicted.to(at::kCPU, at::kLong).contiguous();
  const auto b = labelled.to(at::kCPU, at::kLong).contiguous();
  const int64_t* p = a.const_data_ptr<int64_t>();
  const int64_t* l = b.const_data_ptr<int64_t>();
  const auto classes = static_cast<int64_t>(label.size());
  const auto counts = [&](int64_t c) { return c >= 0 && c < classes; };
  for (int64_t i = 0; i < a.numel(); ++i) {
    if (l[i] == ignore) continue;
    if (counts(p[i])) ++prediction[p[i]];
    if (!counts(l[i])) continue;
    ++label[l[i]];
    if (p[i] == l[i]) ++intersect[l[i]];
  }
}

SegmentationScores segmentation_scores(const ClassAreas& areas) {
  SegmentationScores scores;
  int64_t correct = 0;
  int64_t labelled = 0;
  for (size_t c = 0; c < areas.label.size(); ++c) {
    const int64_t both = areas.intersect[c];
    scores.iou.push_back(
        ratio(both, areas.prediction[c] + areas.label[c] - both));
    scores.accuracy.push_back(ratio(both, areas.label[c]));
    correct += both;
    labelled += areas.label[c];
  }
  scores.pixel_accuracy = ratio(correct, labelled);
  scores.mean_iou = mean(scores.iou);
  scores.mean_accuracy = mean(scores.accuracy);
  return scores;
}

}  // namespace declip

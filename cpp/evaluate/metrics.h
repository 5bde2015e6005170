#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace declip {

/// Pixels per class, summed over any number of images.
struct ClassAreas {
  explicit ClassAreas(int64_t classes);

  /// Adds an image. prediction and label are integer tensors of one shape;
  /// pixels whose label is `ignore` count nowhere. A value outside 0..C-1 falls
  /// in no bin, though its partner at that pixel still does.
  void add(const at::Tensor& prediction,
           const at::Tensor& label,
           int64_t ignore = 255);

  std::vector<int64_t> intersect;   // predicted and labelled as the class
  std::vector<int64_t> prediction;  // predicted as the class
  std::vector<int64_t> label;       // labelled as the class
};

/// Ratios 0..1; NaN where a class does not occur.
struct SegmentationScores {
  double pixel_accuracy = 0;  // aAcc
  double mean_iou = 0;        // mIoU, over the classes that occur
  double mean_accuracy = 0;   // mAcc, over the labelled classes
  std::vector<double> iou;
  std::vector<double> accuracy;
};

/// mmsegmentation's IoUMetric on the summed areas.
SegmentationScores segmentation_scores(const ClassAreas& areas);

}  // namespace declip

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "declip/call.h"
#include "declip/size.h"

namespace declip {

/// COCO's evaluation of detections (cocoapi, PythonAPI/pycocotools/cocoeval.py)
/// and LVIS's federated one (Gupta et al., "LVIS: A Dataset for Large
/// Vocabulary Instance Segmentation", section 3 and lvis-api, lvis/eval.py).
enum class DetectionRule { kCoco, kLvis };

/// Outlined objects of many pictures, one after another.
struct ObjectList {
  std::span<const int32_t> labels;  // 0..classes-1
  std::span<const double> boxes;    // x, y, width, height of each
  /// Masks as compressed counts, one text after another, and where each ends;
  /// empty where boxes are compared.
  std::span<const uint8_t> mask_text;
  std::span<const double> mask_ends;
};

/// A picture and its places in the lists: [begin, end).
struct DetectionPicture {
  uint32_t truths = 0, truths_end = 0;
  uint32_t detections = 0, detections_end = 0;
  uint32_t negative = 0, negative_end = 0;
  uint32_t not_exhaustive = 0, not_exhaustive_end = 0;
  Size size;  // of its masks
};

/// What is evaluated. The spans' memory must stay as it is until the end.
struct DetectionSet {
  DetectionRule rule = DetectionRule::kCoco;
  bool masks = false;
  int64_t classes = 0;
  /// Detections that count, ascending: of COCO the best of a picture and class;
  /// of LVIS one number, the best of a picture.
  std::vector<int64_t> max_detections;
  std::vector<DetectionPicture> pictures;
  ObjectList truths;
  std::span<const double> truth_areas;
  std::span<const uint8_t> truth_crowds;
  ObjectList detections;
  std::span<const double> scores;
  /// LVIS: labels that are known not to be in a picture, and labels of which
  /// not every object is annotated.
  std::span<const int32_t> negative;
  std::span<const int32_t> not_exhaustive;
};

/// IoU thresholds 0.5, 0.55 .. 0.95, recall points 0, 0.01 .. 1, areas all,
/// below 32², from there to 96², above. All as NumPy's linspace has them.
constexpr int64_t kIouThresholds = 10;
constexpr int64_t kRecallPoints = 101;
constexpr int64_t kAreaRanges = 4;

/// Curves by threshold T, recall point R, class K, area A and number of
/// detections M; -1 where a class has no object that counts.
struct PrecisionCurves {
  int64_t classes = 0;
  int64_t limits = 0;             // M
  std::vector<double> precision;  // [T, R, K, A, M]
  std::vector<double> scores;     // [T, R, K, A, M]
  std::vector<double> recall;     // [T, K, A, M]
};

/// Means of a class over thresholds and recall points, 0..1; -1 as above.
struct ClassPrecision {
  /// At the most detections: over all thresholds, at 0.5 and at 0.75; of small,
  /// medium and large objects.
  double ap = -1, ap50 = -1, ap75 = -1, small = -1, medium = -1, large = -1;
  /// Mean recall: at the first three limits, those that there are; and by area
  /// at the most detections.
  std::array<double, 3> recalls{-1, -1, -1};
  double recall_small = -1, recall_medium = -1, recall_large = -1;
};

/// Memory grows with the number of detections, and with T x R x K x A x M.
/// Throws Error(kInvalidArg), beginning with "truth N: " or "detection N: ",
/// for a mask that is none of its picture's size.
PrecisionCurves precision_curves(const DetectionSet& set, const Call& call);

std::vector<ClassPrecision> class_precision(const PrecisionCurves& curves);

}  // namespace declip

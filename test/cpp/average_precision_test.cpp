#include "declip/average_precision.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "declip/error.h"
#include "declip/rle.h"
#include "tap.h"

using declip::DetectionPicture;
using declip::DetectionRule;
using declip::DetectionSet;

// That all numbers are pycocotools' is shown by
// scripts/check/average-precision.mjs; here what needs no Python.

namespace {

/// Owns what a DetectionSet points to.
struct Objects {
  std::vector<int32_t> labels;
  std::vector<double> boxes;
  std::vector<uint8_t> text;
  std::vector<double> ends;

  void add(int32_t label, std::array<double, 4> box) {
    labels.push_back(label);
    boxes.insert(boxes.end(), box.begin(), box.end());
  }
  void add_mask(int32_t label, const std::vector<uint32_t>& counts) {
    labels.push_back(label);
    const auto own = declip::compress_counts(counts);
    text.insert(text.end(), own.begin(), own.end());
    ends.push_back(static_cast<double>(text.size()));
  }
  declip::ObjectList list() const { return {labels, boxes, text, ends}; }
};

struct Scene {
  Objects truths, detections;
  std::vector<double> areas, scores;
  std::vector<uint8_t> crowds;
  std::vector<int32_t> negative, not_exhaustive;
  DetectionSet set;

  void add_truth(int32_t label, std::array<double, 4> box, bool crowd = false) {
    truths.add(label, box);
    areas.push_back(box[2] * box[3]);
    crowds.push_back(crowd ? 1 : 0);
  }
  void add_detection(int32_t label, std::array<double, 4> box, double score) {
    detections.add(label, box);
    scores.push_back(score);
  }
  /// All of it as one picture.
  const DetectionSet& finish(int64_t classes,
                             DetectionRule rule = DetectionRule::kCoco) {
    set.rule = rule;
    set.classes = classes;
    set.max_detections = {100};
    set.truths = truths.list();
    set.detections = detections.list();
    set.truth_areas = areas;
    set.truth_crowds = crowds;
    set.scores = scores;
    set.negative = negative;
    set.not_exhaustive = not_exhaustive;
    const auto count = [](const auto& list) {
      return static_cast<uint32_t>(list.size());
    };
    set.pictures = {DetectionPicture{0,
                                     count(truths.labels),
                                     0,
                                     count(detections.labels),
                                     0,
                                     count(negative),
                                     0,
                                     count(not_exhaustive),
                                     {10, 20}}};
    return set;
  }
};

std::vector<declip::ClassPrecision> precision(const DetectionSet& set) {
  return declip::class_precision(declip::precision_curves(set, {}));
}

}  // namespace

TEST(average_precision_of_one_right_and_one_wrong) {
  Scene scene;
  scene.add_truth(1, {0, 0, 10, 10});
  scene.add_truth(1, {50, 0, 10, 10});
  scene.add_detection(1, {0, 0, 10, 10}, 0.9);
  scene.add_detection(1, {80, 80, 10, 10}, 0.8);
  scene.add_detection(1, {50, 0, 10, 5}, 0.7);  // half of it
  const auto all = precision(scene.finish(2));
  CHECK(all[0].ap == -1 && all[0].recalls[0] == -1);  // no object
  // Recalls 0 .. 0.5 at precision 1, the others at 2/3, where a half is enough.
  CHECK_CLOSE(all[1].ap50, (51.0 + 50.0 * 2 / 3) / 101, 1e-12);
  CHECK_CLOSE(all[1].ap75, 51.0 / 101, 1e-12);
  CHECK_CLOSE(all[1].recalls[0], 0.55, 1e-12);
  CHECK_CLOSE(all[1].small, all[1].ap, 1e-12);
  CHECK(all[1].medium == -1);
}

TEST(average_precision_leaves_crowds_out) {
  Scene scene;
  scene.add_truth(0, {0, 0, 10, 10});
  scene.add_truth(0, {40, 0, 60, 60}, true);
  scene.add_detection(0, {50, 10, 10, 10}, 0.95);  // in the crowd
  scene.add_detection(0, {60, 10, 10, 10}, 0.9);   // too
  scene.add_detection(0, {0, 0, 10, 10}, 0.5);
  CHECK_CLOSE(precision(scene.finish(1))[0].ap, 1, 1e-12);
  // LVIS has no crowds: it is an object that was missed.
  CHECK(precision(scene.finish(1, DetectionRule::kLvis))[0].ap < 0.5);
}

TEST(average_precision_of_what_is_known_of_a_picture) {
  Scene scene;
  scene.add_truth(0, {0, 0, 10, 10});
  scene.add_detection(0, {0, 0, 10, 10}, 0.5);
  scene.add_detection(0, {60, 0, 10, 10}, 0.9);
  const auto lvis = DetectionRule::kLvis;
  CHECK_CLOSE(precision(scene.finish(1, lvis))[0].ap, 0.5, 1e-12);
  scene.not_exhaustive = {0};
  CHECK_CLOSE(precision(scene.finish(1, lvis))[0].ap, 1, 1e-12);
}

TEST(average_precision_of_masks) {
  Scene scene;
  scene.truths.add_mask(0, {0, 10, 190});      // one column
  scene.detections.add_mask(0, {0, 20, 180});  // two
  scene.detections.add_mask(0, {190, 10});     // another
  scene.areas = {10};
  scene.crowds = {0};
  scene.scores = {0.9, 0.8};
  scene.set.masks = true;
  const auto all = precision(scene.finish(1));
  CHECK_CLOSE(all[0].ap50, 1, 1e-12);
  CHECK_CLOSE(all[0].ap75, 0, 1e-12);

  scene.detections.add_mask(0, {0, 10});  // of no such picture
  scene.scores.push_back(0.7);
  try {
    precision(scene.finish(1));
    CHECK(false);
  } catch (const declip::Error& error) {
    CHECK(error.code() == declip::ErrorCode::kInvalidArg);
    CHECK(std::string(error.what()).starts_with("detection 2: "));
  }
}

TEST(average_precision_refuses_lists_that_do_not_fit) {
  const auto refused = [](auto change) {
    Scene scene;
    scene.add_truth(0, {0, 0, 1, 1});
    scene.add_detection(0, {0, 0, 1, 1}, 0.5);
    scene.finish(1);
    change(scene);
    CHECK_THROWS_CODE(precision(scene.set), declip::ErrorCode::kInvalidArg);
  };
  refused([](Scene& s) { s.truths.labels[0] = 1; });
  refused([](Scene& s) { s.detections.labels[0] = -1; });
  refused([](Scene& s) { s.set.truths.boxes = {}; });
  refused([](Scene& s) { s.set.truth_areas = {}; });
  refused([](Scene& s) { s.set.truth_crowds = {}; });
  refused([](Scene& s) { s.set.scores = {}; });
  refused([](Scene& s) { s.set.pictures[0].truths_end = 2; });
  refused([](Scene& s) { s.set.pictures[0].detections = 2; });
  refused([](Scene& s) { s.set.pictures[0].negative_end = 1; });
  refused([](Scene& s) { s.set.max_detections = {}; });
  refused([](Scene& s) { s.set.max_detections = {10, 1}; });
  refused([](Scene& s) { s.set.classes = 0; });
  refused([](Scene& s) { s.set.masks = true; });
}

TEST(average_precision_is_cancelled) {
  Scene scene;
  scene.add_truth(0, {0, 0, 1, 1});
  declip::Call call;
  call.cancelled = std::make_shared<std::atomic<bool>>(true);
  CHECK_THROWS_CODE(declip::precision_curves(scene.finish(1), call),
                    declip::ErrorCode::kAborted);
}

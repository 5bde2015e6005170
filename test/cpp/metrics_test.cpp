#include "evaluate/metrics.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <string>

#include "declip/error.h"
#include "files/safetensors.h"
#include "tap.h"

using declip::ClassAreas;

namespace {

bool equals(const std::vector<int64_t>& actual, const at::Tensor& expected) {
  return at::tensor(actual, at::kLong).equal(expected.to(at::kLong));
}

}  // namespace

TEST(areas_match_mmsegmentation) {
  const std::string folder = DECLIP_FIXTURES "/metrics/";
  const auto inputs =
      declip::read_safetensors(folder + "inputs.safetensors").tensors;
  const auto outputs =
      declip::read_safetensors(folder + "outputs.safetensors").tensors;
  for (const auto& [id, classes] :
       {std::pair<std::string, int64_t>{"small", 5},
        std::pair<std::string, int64_t>{"absent-classes", 21}}) {
    ClassAreas total(classes);
    int64_t images = 0;
    for (; inputs.count(id + "-pred-" + std::to_string(images)) > 0; ++images) {
      const auto number = std::to_string(images);
      const auto prediction = inputs.at(id + "-pred-" + number);
      const auto label = inputs.at(id + "-label-" + number);
      ClassAreas one(classes);
      one.add(prediction, label);
      total.add(prediction, label);
      CHECK(
          equals(one.intersect, outputs.at(id + "." + number + ".intersect")));
      CHECK(equals(one.prediction, outputs.at(id + "." + number + ".pred")));
      CHECK(equals(one.label, outputs.at(id + "." + number + ".label")));
    }
    CHECK(images >= 2);
    CHECK(equals(total.intersect, outputs.at(id + ".total.intersect")));
    CHECK(equals(total.prediction, outputs.at(id + ".total.pred")));
    CHECK(equals(total.label, outputs.at(id + ".total.label")));
  }
}

// Expected values: metrics/manifest.json, case "small", "unrounded".
TEST(scores_match_mmsegmentation) {
  const auto inputs =
      declip::read_safetensors(DECLIP_FIXTURES "/metrics/inputs.safetensors")
          .tensors;
  ClassAreas areas(5);
  for (const char* number : {"0", "1"}) {
    areas.add(inputs.at(std::string("small-pred-") + number),
              inputs.at(std::string("small-label-") + number));
  }
  const auto scores = declip::segmentation_scores(areas);
  CHECK_CLOSE(scores.pixel_accuracy, 0.7863247990608215, 1e-6);
  CHECK_CLOSE(scores.mean_iou, 0.524875283241272, 1e-6);
  CHECK_CLOSE(scores.mean_accuracy, 0.7898109555244446, 1e-6);
  CHECK_CLOSE(scores.iou[1], 0.6944444179534912, 1e-6);
  CHECK(scores.iou[2] == 0);  // predicted, never labelled
  CHECK(std::isnan(scores.accuracy[2]));
}

TEST(ignored_and_foreign_labels) {
  ClassAreas areas(2);
  areas.add(at::tensor({0, 1, 1, 7}), at::tensor({255, 9, 1, 0}));
  CHECK((areas.prediction ==
         std::vector<int64_t>{0, 2}));  // 9 leaves its partner in
  CHECK((areas.label == std::vector<int64_t>{1, 1}));
  CHECK((areas.intersect == std::vector<int64_t>{0, 1}));
}

TEST(nothing_labelled_is_not_a_number) {
  const auto scores = declip::segmentation_scores(ClassAreas(3));
  CHECK(std::isnan(scores.mean_iou) && std::isnan(scores.pixel_accuracy));
}

TEST(maps_must_have_one_shape) {
  ClassAreas areas(2);
  CHECK_THROWS_CODE(areas.add(at::zeros({2, 2}), at::zeros({2, 3})),
                    declip::ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(ClassAreas(0), declip::ErrorCode::kInvalidArg);
}

#include "kernels/nms.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "declip/error.h"
#include "golden.h"
#include "random_planes.h"
#include "tap.h"

using declip::ErrorCode;

namespace {

/// As the rule is written: one list, loops, float32 and a double threshold.
std::vector<int64_t> plain_nms(const at::Tensor& boxes,
                               const at::Tensor& scores,
                               double threshold,
                               const std::vector<int64_t>& classes) {
  const auto box = boxes.accessor<float, 2>();
  const auto score = scores.accessor<float, 1>();
  std::vector<int64_t> order(static_cast<size_t>(boxes.size(0)));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return score[a] > score[b];
  });
  std::vector<int64_t> kept;
  const auto area = [&](int64_t i) {
    volatile float out = (box[i][2] - box[i][0]) * (box[i][3] - box[i][1]);
    return out;
  };
  for (const auto j : order) {
    bool stays = true;
    for (const auto i : kept) {
      if (classes[static_cast<size_t>(i)] != classes[static_cast<size_t>(j)])
        continue;
      const float w = std::max(
          0.0f,
          std::min(box[i][2], box[j][2]) - std::max(box[i][0], box[j][0]));
      const float h = std::max(
          0.0f,
          std::min(box[i][3], box[j][3]) - std::max(box[i][1], box[j][1]));
      volatile float both = w * h;
      volatile float all = area(i) + area(j);
      volatile float rest = all - both;
      const float iou = both / rest;
      if (static_cast<double>(iou) > threshold) stays = false;
    }
    if (stays) kept.push_back(j);
  }
  return kept;
}

std::vector<int64_t> as_list(const at::Tensor& places) {
  const auto* at = places.const_data_ptr<int64_t>();
  return {at, at + places.numel()};
}

}  // namespace

TEST(nms_is_the_plain_rule_on_random_boxes) {
  Random random;
  for (int round = 0; round < 60; ++round) {
    const int64_t count = random.integer(0, 90);
    const bool whole = random.coin();  // many equal scores and sides
    auto corners = 40 * random.tensor({count, 2});
    auto sides = 30 * random.tensor({count, 2}).abs();
    auto scores = random.tensor({count});
    if (whole) {
      corners = corners.round();
      sides = sides.round();
      scores = (4 * scores).round();
    }
    const auto boxes = at::cat({corners, corners + sides}, 1);
    const bool classed = random.coin();
    const auto classes =
        classed ? at::randint(3, {count}, at::kLong) : at::Tensor();
    const double threshold = std::vector<double>{
        0.0, 0.3, 0.5, 0.7, 1.0}[static_cast<size_t>(random.integer(0, 4))];
    const auto wanted = plain_nms(
        boxes,
        scores,
        threshold,
        classed ? as_list(classes)
                : std::vector<int64_t>(static_cast<size_t>(count), 0));
    CHECK(as_list(declip::nms(boxes, scores, threshold, classes)) == wanted);
  }
}

TEST(nms_compares_a_float32_overlap_with_a_double_threshold) {
  // 7 of 10 is 0.699999988 in float32, 3 of 5 is 0.600000024.
  const auto scores = at::tensor({2.0f, 1.0f});
  const auto seven =
      at::tensor({0.f, 0.f, 10.f, 1.f, 0.f, 0.f, 7.f, 1.f}).view({2, 4});
  CHECK(declip::nms(seven, scores, 0.7).size(0) == 2);
  const auto three =
      at::tensor({0.f, 0.f, 5.f, 1.f, 0.f, 0.f, 3.f, 1.f}).view({2, 4});
  CHECK(declip::nms(three, scores, 0.6).size(0) == 1);
}

TEST(nms_of_boxes_without_area_and_of_none) {
  const auto line =
      at::tensor({3.f, 1.f, 3.f, 9.f, 3.f, 1.f, 3.f, 9.f}).view({2, 4});
  CHECK(declip::nms(line, at::tensor({1.0f, 1.0f}), 0.0).size(0) == 2);
  CHECK(declip::nms(at::zeros({0, 4}), at::zeros({0}), 0.5).size(0) == 0);
}

TEST(nms_gives_the_authors_list) {
  const Golden golden("sam-decoder");
  const auto& one = golden.at("box-nms");
  const auto& inputs = *one.find("inputs");
  std::vector<float> sides, scores;
  for (const auto& box : *inputs.find("boxes_xyxy")->array()) {
    for (const auto& side : *box.array())
      sides.push_back(static_cast<float>(*side.number()));
  }
  for (const auto& score : *inputs.find("scores")->array())
    scores.push_back(static_cast<float>(*score.number()));
  const auto kept =
      declip::nms(at::tensor(sides).view({-1, 4}),
                  at::tensor(scores),
                  *one.find("options")->find("iou_threshold")->number());
  CHECK(at::equal(kept, golden.tensor(*one.find("outputs")->find("keep"))));
}

TEST(nms_refuses_what_does_not_fit) {
  CHECK_THROWS_CODE(declip::nms(at::zeros({2, 5}), at::zeros({2}), 0.5),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::nms(at::zeros({2, 4}), at::zeros({3}), 0.5),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(
      declip::nms(
          at::zeros({2, 4}), at::zeros({2}), 0.5, at::zeros({1}, at::kLong)),
      ErrorCode::kInvalidArg);
}

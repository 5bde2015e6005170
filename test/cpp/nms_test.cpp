#include "kernels/nms.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "declip/error.h"
#include "golden.h"
#include "random_planes.h"
#include "tap.h"

using declip::ErrorCode;

namespace {

/// As the rule is written: one list, loops, float32 and a double threshold.
std::vector<int64_t> plain_nms(const at::Tensor& unmoved,
                               const at::Tensor& scores,
                               double threshold,
                               const at::Tensor& classes = {},
                               bool apart = false) {
  auto boxes = unmoved;
  if (classes.defined() && boxes.numel() > 0) {
    const auto offsets = classes.to(at::kFloat) * (boxes.max() + 1);
    boxes = boxes + offsets.unsqueeze(1);
  }
  const int64_t* number = apart ? classes.const_data_ptr<int64_t>() : nullptr;
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
      if (apart && number[i] != number[j]) continue;
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
      if (!stays) break;
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
    const auto wanted = plain_nms(boxes, scores, threshold, classes);
    CHECK(as_list(declip::nms(boxes, scores, threshold, classes)) == wanted);
    const int64_t limit = random.integer(0, 20);
    CHECK(
        as_list(declip::nms(boxes, scores, threshold, classes, limit)) ==
        std::vector<int64_t>(
            wanted.begin(),
            wanted.begin() +
                std::min<int64_t>(limit, static_cast<int64_t>(wanted.size()))));
  }
}

namespace {

struct Crowd {
  at::Tensor boxes, scores, classes;
};

Crowd crowd(Random& random, int64_t count, int64_t classes, double side) {
  const auto corners = side / 2 * (random.tensor({count, 2}) + 1);
  const auto sides = side / 4 * random.tensor({count, 2}).abs();
  return {at::cat({corners, corners + sides}, 1),
          random.tensor({count}),
          at::randint(classes, {count}, at::kLong)};
}

}  // namespace

TEST(nms_of_many_classes_moves_boxes_in_float32) {
  // Class 1203 is a million pixels away, where steps are 1/16: overlaps near
  // the threshold fall as they do there.
  Random random;
  int64_t differ = 0;
  for (int round = 0; round < 20; ++round) {
    auto some = crowd(random, 300, 3, 30);
    some.boxes[0].copy_(at::tensor({890.f, 890.f, 900.f, 900.f}));
    some.classes += 1200;
    const auto wanted = plain_nms(some.boxes, some.scores, 0.5, some.classes);
    CHECK(as_list(declip::nms(some.boxes, some.scores, 0.5, some.classes)) ==
          wanted);
    const auto unmoved = some.boxes - 0.0;
    std::vector<int64_t> exact;
    for (int64_t c = 1200; c < 1203; ++c) {
      const auto of_class = some.classes.eq(c).nonzero().squeeze(1);
      const auto kept = declip::nms(unmoved.index_select(0, of_class),
                                    some.scores.index_select(0, of_class),
                                    0.5);
      for (const auto place : as_list(of_class.index_select(0, kept)))
        exact.push_back(place);
    }
    auto sorted = wanted;
    std::sort(sorted.begin(), sorted.end());
    std::sort(exact.begin(), exact.end());
    differ += sorted != exact ? 1 : 0;
  }
  CHECK(differ > 0);
}

TEST(nms_compares_classes_where_float32_lets_them_meet) {
  // Negative coordinates reach into the class below; so does rounding where
  // the classes are 2^24 pixels away.
  const auto boxes =
      at::tensor({0.f, 0.f, 4.f, 4.f, -5.f, -5.f, -1.f, -1.f}).view({2, 4});
  const auto scores = at::tensor({2.0f, 1.0f});
  const auto classes = at::tensor({int64_t{0}, int64_t{1}});
  CHECK(declip::nms(boxes, scores, 0.5, classes).size(0) == 1);
  Random random;
  for (int round = 0; round < 20; ++round) {
    auto some = crowd(random, 200, 5, 1e4);
    some.classes += 4000;
    CHECK(as_list(declip::nms(some.boxes, some.scores, 0.2, some.classes)) ==
          plain_nms(some.boxes, some.scores, 0.2, some.classes));
  }
}

TEST(nms_of_ten_thousand_boxes_takes_each_class_for_itself) {
  Random random;
  auto some = crowd(random, declip::kNmsApart, 40, 100);
  some.boxes -= 60;  // classes meet
  const auto kept =
      as_list(declip::nms(some.boxes, some.scores, 0.3, some.classes));
  CHECK(kept == plain_nms(some.boxes, some.scores, 0.3, some.classes, true));
  const auto few =
      as_list(declip::nms(some.boxes, some.scores, 0.3, some.classes, 700));
  CHECK(few == std::vector<int64_t>(kept.begin(), kept.begin() + 700));
}

TEST(nms_with_a_limit_looks_further_where_the_best_are_doubles) {
  // 5000 doubles of one box come first.
  Random random;
  auto some = crowd(random, 6000, 1, 100);
  some.boxes.slice(0, 0, 5000).copy_(some.boxes[0].clone().unsqueeze(0));
  some.scores.slice(0, 0, 5000) += 3;
  const auto all = as_list(declip::nms(some.boxes, some.scores, 0.3));
  const auto few = as_list(declip::nms(some.boxes, some.scores, 0.3, {}, 20));
  CHECK(few == std::vector<int64_t>(all.begin(), all.begin() + 20));
}

TEST(nms_puts_nan_scores_last) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto boxes =
      at::tensor({0.f, 0.f, 4.f, 4.f, 9.f, 9.f, 12.f, 12.f, 0.f, 0.f, 4.f, 4.f})
          .view({3, 4});
  CHECK((as_list(declip::nms(boxes, at::tensor({nan, 0.1f, 0.2f}), 0.5)) ==
         std::vector<int64_t>{2, 1}));
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

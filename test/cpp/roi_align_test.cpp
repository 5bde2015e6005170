#include "kernels/roi_align.h"

#include <ATen/ATen.h>

#include <limits>

#include "declip/error.h"
#include "random_planes.h"
#include "tap.h"

using declip::ErrorCode;

TEST(matches_plain_loops_on_random_boxes) {
  Random random;
  for (int i = 0; i < 30; ++i) {
    const int64_t height = random.integer(1, 12), width = random.integer(1, 12);
    const auto features = random.tensor({2, 3, height, width});
    const int64_t out_height = random.coin() ? 1 : random.integer(1, 4);
    const int64_t out_width = random.coin() ? 1 : random.integer(1, 4);
    const auto boxes = at::zeros({4, 4});
    const auto batch = at::zeros({4}, at::kLong);
    for (int64_t k = 0; k < 4; ++k) {
      boxes[k][0] = random.real(-6, 10) * 16;  // some leave the picture
      boxes[k][1] = random.real(-6, 10) * 8;
      boxes[k][2] = boxes[k][0] + random.real(0, 12) * 16;
      boxes[k][3] = boxes[k][1] + random.real(0, 12) * 8;
      batch[k] = random.integer(0, 1);
    }
    const auto pooled = declip::roi_align(
        features, boxes, batch, 1.0 / 8, 1.0 / 16, out_height, out_width);
    for (int64_t k = 0; k < 4; ++k) {
      std::vector<double> box;
      for (int64_t e = 0; e < 4; ++e) {
        box.push_back(boxes[k][e].item<double>() / (e % 2 == 0 ? 16 : 8));
      }
      const auto expected = declip::reference::roi_align(
          to_planes(features[batch[k].item<int64_t>()]),
          box,
          out_height,
          out_width);
      CHECK_CLOSE(distance(pooled[k], expected), 0, 5e-6);
    }
  }
}

TEST(a_constant_map_gives_the_constant) {
  const auto features = at::full({1, 2, 9, 7}, 0.5f);
  const auto boxes = at::tensor({0.5f, 0.7f, 6.0f, 8.0f}).view({1, 4});
  const auto pooled =
      declip::roi_align(features, boxes, at::zeros({1}, at::kLong), 1, 1, 3, 2);
  CHECK_CLOSE(distance(pooled, at::full({1, 2, 3, 2}, 0.5)), 0, 1e-6);
}

TEST(an_empty_box_gives_zeros_and_no_boxes_nothing) {
  const auto features = at::ones({1, 2, 4, 4});
  const auto point = at::tensor({2.0f, 2.0f, 2.0f, 2.0f}).view({1, 4});
  const auto batch = at::zeros({1}, at::kLong);
  CHECK(declip::roi_align(features, point, batch, 1, 1)
            .abs()
            .max()
            .item<float>() == 0);
  CHECK(declip::roi_align(
            features, at::zeros({0, 4}), at::zeros({0}, at::kLong), 1, 1)
            .sizes() == at::IntArrayRef({0, 2, 1, 1}));
}

TEST(gradients_reach_the_features) {
  const auto features = at::ones({1, 2, 4, 4}).requires_grad_();
  const auto box = at::tensor({0.5f, 0.5f, 3.5f, 3.5f}).view({1, 4});
  const auto pooled =
      declip::roi_align(features, box, at::zeros({1}, at::kLong), 1, 1);
  pooled.sum().backward();
  CHECK_CLOSE(
      features.grad().sum().item<double>(), 2, 1e-5);  // one per channel
}

TEST(impossible_boxes_are_refused) {
  const auto features = at::ones({1, 2, 4, 4});
  const auto batch = at::zeros({1}, at::kLong);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& box : {std::vector<float>{0, 0, nan, 1},
                          std::vector<float>{2, 0, 1, 1},
                          std::vector<float>{0, 0, 1e9f, 1}}) {
    CHECK_THROWS_CODE(
        declip::roi_align(features, at::tensor(box).view({1, 4}), batch, 1, 1),
        ErrorCode::kInvalidArg);
  }
  CHECK_THROWS_CODE(
      declip::roi_align(
          features, at::ones({1, 4}), at::ones({1}, at::kLong), 1, 1),
      ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::roi_align(features, at::ones({1, 5}), batch, 1, 1),
                    ErrorCode::kInvalidArg);
}

#include "kernels/mask_pool.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "random_planes.h"
#include "tap.h"

using declip::ErrorCode;

TEST(matches_plain_loops_on_random_masks) {
  Random random;
  const auto features = random.tensor({3, 5, 6, 4});
  const auto masks = random.tensor({7, 6, 4}).abs();
  auto batch = at::zeros({7}, at::kLong);
  for (int64_t k = 0; k < 7; ++k) batch[k] = random.integer(0, 2);
  const auto pooled = declip::mask_pool(features, masks, batch);
  for (int64_t k = 0; k < 7; ++k) {
    const auto expected = declip::reference::mask_pool(
        to_planes(features[batch[k].item<int64_t>()]),
        to_planes(masks.narrow(0, k, 1)).data);
    for (int64_t c = 0; c < 5; ++c)
      CHECK_CLOSE(pooled[k][c].item<float>(), expected[c], 1e-6);
  }
}

TEST(an_empty_mask_gives_zeros_in_any_precision) {
  for (const auto type : {at::kFloat, at::kHalf}) {
    const auto features = at::ones({1, 3, 2, 2}, type);
    const auto pooled = declip::mask_pool(
        features, at::zeros({1, 2, 2}, at::kBool), at::zeros({1}, at::kLong));
    CHECK(pooled.scalar_type() == type);
    CHECK(pooled.equal(at::zeros({1, 3}, type)));
  }
}

TEST(a_full_mask_gives_the_mean) {
  Random random;
  const auto features = random.tensor({1, 4, 5, 5});
  const auto pooled = declip::mask_pool(
      features, at::ones({1, 5, 5}, at::kBool), at::zeros({1}, at::kLong));
  CHECK_CLOSE(distance(pooled, features.mean({2, 3})), 0, 1e-6);
}

TEST(any_positive_overshoot_counts_as_mask) {
  // One pixel of 16: bicubic weights around it are positive at one patch only.
  auto mask = at::zeros({1, 16, 16}, at::kBool);
  mask[0][7][7] = true;
  const auto small = declip::resize_masks_bicubic(mask, 4, 4);
  CHECK(small.scalar_type() == at::kBool);
  CHECK(small[0][1][1].item<bool>());
  CHECK(small.sum().item<int64_t>() == 1);
  CHECK(declip::resize_masks_bicubic(at::ones({2, 9, 7}), 3, 5)
            .all()
            .item<bool>());
  CHECK(declip::resize_masks_bicubic(at::zeros({0, 9, 7}), 3, 5).size(0) == 0);
}

TEST(masks_must_fit_the_features) {
  const auto features = at::ones({1, 3, 2, 2});
  CHECK_THROWS_CODE(
      declip::mask_pool(
          features, at::ones({1, 3, 2}), at::zeros({1}, at::kLong)),
      ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(
      declip::mask_pool(
          features, at::ones({1, 2, 2}), at::ones({1}, at::kLong)),
      ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::resize_masks_bicubic(at::ones({1, 2, 2}), 0, 2),
                    ErrorCode::kInvalidArg);
}

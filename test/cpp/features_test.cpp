#include "declip/features.h"

#include <ATen/ATen.h>

#include <vector>

#include "tap.h"

TEST(features_are_mixed_row_by_row) {
  const auto names = at::tensor({1.0f, 2.0f, 3.0f, 4.0f}).view({2, 2});
  const auto other = at::tensor({5.0f, 9.0f, 0.0f, 8.0f}).view({2, 2});
  const auto mixed = declip::mix_features(names, other, {-1, 1}, 0.25);
  CHECK(mixed.equal(at::tensor({1.0f, 2.0f, 2.25f, 5.0f}).view({2, 2})));
  CHECK(names[1][0].item<float>() == 3);
  const auto code = declip::ErrorCode::kInvalidArg;
  for (const auto& index :
       std::vector<std::vector<int64_t>>{{0}, {0, 2}, {0, -2}, {0, 1, 0}}) {
    CHECK_THROWS_CODE(declip::mix_features(names, other, index, 0.5), code);
  }
  CHECK_THROWS_CODE(declip::mix_features(names, other[0], {0, 1}, 0.5), code);
}

TEST(feature_products_are_of_rows) {
  const auto a = at::tensor({1.0f, 2.0f}).view({1, 2});
  const auto b = at::tensor({3.0f, 4.0f, 5.0f, 6.0f}).view({2, 2});
  CHECK(declip::feature_products(a, b).equal(
      at::tensor({11.0f, 17.0f}).view({1, 2})));
  CHECK_THROWS_CODE(declip::feature_products(a, b.slice(1, 0, 1)),
                    declip::ErrorCode::kInvalidArg);
}

TEST(cosines_are_of_directions) {
  const auto a = at::tensor({3.0f, 4.0f, 0.0f, 0.0f}).view({2, 2});
  const auto b = at::tensor({10.0f, 0.0f, 0.0f, 0.5f}).view({2, 2});
  CHECK(at::allclose(declip::cosines(a, b),
                     at::tensor({0.6f, 0.8f, 0.0f, 0.0f}).view({2, 2})));
  CHECK_THROWS_CODE(declip::cosines(a, b.slice(1, 0, 1)),
                    declip::ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::cosines(a[0], b), declip::ErrorCode::kInvalidArg);
}

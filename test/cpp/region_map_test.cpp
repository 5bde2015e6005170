#include "declip/region_map.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "random_planes.h"
#include "tap.h"

using declip::Call;
using declip::ErrorCode;
using declip::MaskShapes;
using declip::Size;

namespace {

/// Whole masks painted one over the other.
at::Tensor painted(const at::Tensor& masks, std::vector<double> keys) {
  const int64_t count = masks.size(0);
  if (keys.empty()) {
    for (int64_t k = 0; k < count; ++k) {
      keys.push_back(masks[k].ne(0).sum().item<double>());
    }
  }
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return keys[a] < keys[b];
  });
  auto map = at::zeros({masks.size(1), masks.size(2)}, at::kInt);
  for (int64_t i = 0; i < count; ++i) {
    map.masked_fill_(masks[order[i]].ne(0), i + 1);
  }
  return map;
}

MaskShapes shapes_of(const at::Tensor& masks) {
  MaskShapes shapes;
  for (int64_t k = 0; k < masks.size(0); ++k) {
    const auto mask = declip::encode_rle(masks[k]);
    shapes.kinds.push_back(MaskShapes::kCounts);
    shapes.sizes.push_back(mask.size);
    shapes.counts.insert(
        shapes.counts.end(), mask.counts.begin(), mask.counts.end());
    shapes.ends.push_back(static_cast<uint32_t>(shapes.counts.size()));
  }
  return shapes;
}

}  // namespace

TEST(regions_are_masks_painted_in_ascending_order) {
  Random random;
  for (int i = 0; i < 20; ++i) {
    const Size size{random.integer(1, 23), random.integer(1, 31)};
    const int64_t count = random.integer(0, 9);
    const auto masks = random.tensor({count, size.height, size.width})
                           .gt(random.real(-1, 1))
                           .to(at::kByte);
    std::vector<double> keys;
    if (random.coin()) {
      // Few values, so that some are equal.
      for (int64_t k = 0; k < count; ++k) {
        keys.push_back(static_cast<double>(random.integer(0, 3)));
      }
    }
    const auto expected = painted(masks, keys);
    CHECK(declip::paint_regions(masks, keys, Call()).equal(expected));
    CHECK(declip::paint_regions(masks.to(at::kBool), keys, Call())
              .equal(expected));
    const auto of_shapes =
        declip::paint_regions(shapes_of(masks), size, keys, Call());
    CHECK(of_shapes.equal(expected));
    CHECK(of_shapes.is_contiguous());
  }
}

TEST(regions_refuse_keys_that_do_not_fit_and_other_masks) {
  const auto masks = at::zeros({2, 3, 4}, at::kByte);
  CHECK_THROWS_CODE(declip::paint_regions(masks, {1, 2, 3}, Call()),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::paint_regions(masks[0], {}, Call()),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::paint_regions(masks.to(at::kFloat), {}, Call()),
                    ErrorCode::kInvalidArg);
}

TEST(regions_of_a_map_are_its_values_but_0) {
  const auto map =
      at::tensor({0, 7, 7, -3, 0, 7}, at::kInt).view({2, 3}).contiguous();
  const auto values = declip::region_values(map, 2, Call());
  CHECK(values == std::vector<int32_t>({-3, 7}));
  const auto masks = declip::masks_of_regions(map, values, Call());
  CHECK(masks[0].equal(map.eq(-3).to(at::kByte)));
  CHECK(masks[1].equal(map.eq(7).to(at::kByte)));
  CHECK_THROWS_CODE(declip::region_values(map, 1, Call()),
                    ErrorCode::kInvalidArg);
}

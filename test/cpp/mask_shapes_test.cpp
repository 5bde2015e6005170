#include "declip/mask_shapes.h"

#include <ATen/ATen.h>

#include <string>

#include "tap.h"

using declip::ErrorCode;
using declip::MaskShapes;
using declip::Rle;

namespace {

MaskShapes ring(const std::vector<double>& corners, declip::Size size) {
  MaskShapes shapes;
  shapes.kinds = {MaskShapes::kRings};
  shapes.sizes = {size};
  shapes.ends = {1};
  shapes.corners = corners;
  shapes.ring_ends = {static_cast<uint32_t>(corners.size() / 2)};
  shapes.holes = {0};
  return shapes;
}

int64_t area(const std::vector<double>& corners, declip::Size size) {
  return declip::rle_area(declip::rle_of(ring(corners, size), {}).front());
}

}  // namespace

TEST(polygons_are_cut_off_at_the_picture) {
  CHECK(area({1, 1, 4, 1, 4, 3, 1, 3}, {5, 6}) == 6);
  CHECK(area({-9, -9, 99, -9, 99, 99, -9, 99}, {5, 6}) == 30);
  CHECK(area({-9, -9, -2, -9, -2, 99}, {5, 6}) == 0);
  CHECK(area({2, 2, 2, 2, 2, 2}, {5, 6}) == 0);
  const double far = 268435456;
  CHECK(area({-far, -far, far, -far, far, far, -far, far}, {5, 6}) == 30);
  CHECK_THROWS_CODE(area({0, 0, 1, 0, 2 * far, 9}, {5, 6}),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(area({0, 0, 1, NAN, 2, 9}, {5, 6}), ErrorCode::kInvalidArg);
}

TEST(holes_are_cut_out_of_the_ring_before_them) {
  auto shapes = ring({0, 0, 6, 0, 6, 5, 0, 5, 1, 1, 1, 3, 4, 3, 4, 1}, {5, 6});
  shapes.ring_ends = {4, 8};
  shapes.holes = {0, 1};
  shapes.ends = {2};
  const auto mask = declip::fill_masks(shapes, {5, 6}, {});
  CHECK(mask.sum().item<int64_t>() == 30 - 6);
  CHECK(mask.slice(1, 1, 3).slice(2, 1, 4).sum().item<int64_t>() == 0);
}

TEST(shapes_that_do_not_fit_are_named_by_their_place) {
  MaskShapes shapes;
  shapes.kinds = {MaskShapes::kCounts, MaskShapes::kCounts};
  shapes.sizes = {{2, 3}, {2, 3}};
  shapes.counts = {0, 6, 1, 4};
  shapes.ends = {2, 4};
  try {
    declip::rle_of(shapes, {});
    CHECK(false);
  } catch (const declip::Error& error) {
    CHECK(std::string(error.what()).rfind("#1: ", 0) == 0);
    CHECK(error.code() == ErrorCode::kInvalidArg);
  }
  shapes.ends = {2, 9};
  CHECK_THROWS_CODE(declip::rle_of(shapes, {}), ErrorCode::kInternal);
  shapes.kinds = {MaskShapes::kRings, 7};
  CHECK_THROWS_CODE(declip::rle_of(shapes, {}), ErrorCode::kInternal);
}

TEST(every_label_but_the_largest_is_a_mask) {
  const auto labels = at::tensor({7, 255, 0, 7}, at::kByte).view({2, 2});
  const auto found = declip::masks_of_labels(labels, {});
  CHECK(found.values == (std::vector<int64_t>{0, 7}));
  CHECK(found.masks[0].equal(labels.eq(0).to(at::kByte)));
  CHECK(found.masks[1].equal(labels.eq(7).to(at::kByte)));
  const auto none = at::full({2, 2}, 255, at::kByte);
  CHECK(declip::masks_of_labels(none, {}).masks.size(0) == 0);
}

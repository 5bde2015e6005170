// Boxes and crops of CLIPSelf's and DeCLIP's data sets.

#include "declip/regions.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "declip/resize.h"
#include "random_planes.h"
#include "tap.h"

using declip::ErrorCode;
using declip::PixelBox;
using declip::Size;

namespace {

constexpr std::array<double, 3> kMean{0.4, 0.5, 0.6};
constexpr std::array<double, 3> kStd{0.2, 0.25, 0.3};

std::vector<uint8_t> region_picture(Size size) {
  std::vector<uint8_t> out(static_cast<size_t>(size.height * size.width * 3));
  for (size_t k = 0; k < out.size(); ++k) {
    out[k] = static_cast<uint8_t>((k * k * 7 + k * 37 + 11) % 256);
  }
  return out;
}

/// Black, normalised.
at::Tensor black() {
  return (0.0 - at::tensor(at::ArrayRef<double>(kMean))) /
         at::tensor(at::ArrayRef<double>(kStd));
}

}  // namespace

TEST(splits_have_sides_of_at_most_one_to_two) {
  const auto splits = declip::grid_splits(6);
  CHECK(splits.size() == 24);
  CHECK((splits.front() == std::pair<int64_t, int64_t>{1, 1}));
  CHECK((splits.back() == std::pair<int64_t, int64_t>{6, 6}));
  const std::set<std::pair<int64_t, int64_t>> all(splits.begin(), splits.end());
  CHECK(all.size() == 24);
  CHECK(all.contains({1, 2}) && all.contains({2, 1}) && all.contains({6, 3}));
  CHECK(!all.contains({1, 3}) && !all.contains({6, 2}));
  double cells = 0;
  for (const auto& [m, n] : splits) cells += static_cast<double>(m * n);
  CHECK(cells / 24 > 12.9);
}

TEST(cells_cover_the_picture_once) {
  const Size size{301, 450};
  std::map<size_t, int> counts;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const auto regions = declip::grid_regions(size, {}, seed);
    CHECK(regions.size() >= 1 && regions.size() <= 20);
    ++counts[regions.size()];
    double area = 0;
    std::set<std::pair<double, double>> corners;
    for (const auto& [box, crop] : regions) {
      CHECK(box == crop);
      CHECK(box.x1 >= 0 && box.y1 >= 0 && box.x2 <= 450 && box.y2 <= 301);
      area += (box.x2 - box.x1) * (box.y2 - box.y1);
      corners.emplace(box.x1, box.y1);
    }
    CHECK(corners.size() == regions.size());
    if (regions.size() < 20) CHECK_CLOSE(area / (301 * 450), 1, 1e-5);
    CHECK(regions == declip::grid_regions(size, {}, seed));
  }
  CHECK(counts.size() > 8);
  CHECK(counts[20] > 0);
}

TEST(enlarged_crops_leave_the_boxes) {
  declip::GridOptions options;
  options.crop_scale = 1.5;
  const Size size{100, 200};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto plain = declip::grid_regions(size, {}, seed);
    const auto large = declip::grid_regions(size, options, seed);
    CHECK(plain.size() == large.size());
    for (size_t i = 0; i < plain.size(); ++i) {
      const auto& box = plain[i].box;
      const auto& crop = large[i].crop;
      CHECK(large[i].box == box);
      CHECK_CLOSE(crop.x1, std::max(box.x1 - (box.x2 - box.x1) / 4, 0.0), 1e-9);
      CHECK_CLOSE(
          crop.y2, std::min(box.y2 + (box.y2 - box.y1) / 4, 100.0), 1e-9);
    }
  }
}

TEST(proposals_that_do_not_fit_are_not_replaced) {
  const Size size{400, 600};
  std::vector<PixelBox> proposals;
  for (int i = 0; i < 30; ++i) {
    const double x = 10.0 * i;
    // every third is too small
    proposals.push_back({x, 20, x + (i % 3 == 0 ? 7 : 30), 29});
  }
  size_t fewest = 100, most = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto regions = declip::proposal_regions(size, proposals, {}, seed);
    fewest = std::min(fewest, regions.size());
    most = std::max(most, regions.size());
    for (const auto& [box, crop] : regions) {
      CHECK(box.x2 - box.x1 == 30);
      CHECK_CLOSE(crop.x2, std::min(box.x1 + 15 + 22.5, 600.0), 1e-9);
      CHECK_CLOSE(crop.y1, 24.5 - 6.75, 1e-9);
    }
  }
  // 20 of 30 are looked at, of which 10 to 20 fit.
  CHECK(fewest >= 10 && most <= 20 && fewest < most);
}

TEST(without_a_proposal_the_corner_is_taken) {
  const Size size{401, 603};
  const auto regions = declip::proposal_regions(size, {{0, 0, 5, 5}}, {}, 1);
  CHECK(regions.size() == 1);
  CHECK((regions[0].box == PixelBox{0, 0, 150.75, 100.25}));
  CHECK((regions[0].crop == PixelBox{0, 0, 150, 100}));
  CHECK(declip::proposal_regions(size, {}, {}, 1) == regions);
}

TEST(crops_are_rounded_and_padded_around) {
  const Size size{30, 40};
  const auto rgb = region_picture(size);
  // x 4.5 rounds to 4, 17.5 to 18; y 2.5 to 2, 9.5 to 10: 14 x 8.
  const auto got = declip::crop_region(
      rgb.data(), size, {4.5, 2.5, 17.5, 9.5}, 21, kMean, kStd);
  CHECK(got.sizes() == at::IntArrayRef({1, 3, 21, 21}));
  const auto part =
      at::from_blob(const_cast<uint8_t*>(rgb.data()), {30, 40, 3}, at::kByte)
          .slice(0, 2, 10)
          .slice(1, 4, 18)
          .contiguous();
  // 8 * 21 / 14 = 12 rows, 4 above and 5 below.
  const auto expected = declip::normalize_unit(
      declip::resize_pillow(part.const_data_ptr<uint8_t>(),
                            {8, 14},
                            {12, 21},
                            declip::PillowFilter::kBicubic),
      kMean,
      kStd);
  CHECK_CLOSE(distance(got.slice(2, 4, 16), expected), 0, 0);
  const auto dark = black().view({1, 3, 1, 1});
  CHECK_CLOSE(
      distance(got.slice(2, 0, 4), dark.expand({1, 3, 4, 21})), 0, 1e-6);
  CHECK_CLOSE(distance(got.slice(2, 16), dark.expand({1, 3, 5, 21})), 0, 1e-6);
}

TEST(tiny_crops_have_a_pixel) {
  const Size size{10, 10};
  const auto rgb = region_picture(size);
  for (const PixelBox& crop :
       {PixelBox{3.1, 3.1, 3.2, 3.2}, {9.9, 9.9, 10, 10}, {0, 0, 0, 0}}) {
    CHECK(declip::crop_region(rgb.data(), size, crop, 8, kMean, kStd).numel() ==
          3 * 64);
  }
}

TEST(boxes_are_shares_of_the_padded_square) {
  const auto rows =
      declip::region_rows({300, 400}, {{{40, 30, 400, 300}, {0, 0, 1, 1}}}, 3);
  CHECK_CLOSE(
      distance(rows[0], at::tensor({0.1, 0.075, 1.0, 0.75, 1.0})), 0, 1e-7);
  CHECK(rows.slice(0, 1).abs().max().item<float>() == 0);
  CHECK_THROWS_CODE(declip::region_rows({3, 4}, {{}, {}}, 1),
                    ErrorCode::kInvalidArg);
}

TEST(impossible_regions_are_refused) {
  const Size size{30, 40};
  const auto rgb = region_picture(size);
  CHECK_THROWS_CODE(declip::grid_splits(0), ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::grid_regions({0, 4}, {}, 1),
                    ErrorCode::kInvalidArg);
  declip::GridOptions grid;
  grid.crop_scale = 0.5;
  CHECK_THROWS_CODE(declip::grid_regions(size, grid, 1),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::proposal_regions(size, {{5, 5, 1, 1}}, {}, 1),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(
      declip::crop_region(rgb.data(), size, {0, NAN, 1, 1}, 8, kMean, kStd),
      ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(
      declip::crop_region(rgb.data(), size, {0, 0, 9, 9}, 0, kMean, kStd),
      ErrorCode::kInvalidArg);
}

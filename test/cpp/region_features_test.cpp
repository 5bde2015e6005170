// Regions pooled from one map, and crops, beside plain loops.

#include "declip/region_features.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "checkpoint_files.h"
#include "declip/model.h"
#include "random_planes.h"
#include "tap.h"

using declip::ErrorCode;
using declip::PixelBox;
using declip::PoolOptions;

namespace {

double bilinear_cell(
    const at::Tensor& map, int64_t b, int64_t c, double y, double x) {
  const auto h = static_cast<double>(map.size(2));
  const auto w = static_cast<double>(map.size(3));
  if (y < -1 || y > h || x < -1 || x > w) return 0;
  y = std::clamp(y, 0.0, h - 1);
  x = std::clamp(x, 0.0, w - 1);
  const auto y0 = static_cast<int64_t>(y), x0 = static_cast<int64_t>(x);
  const auto y1 = std::min(y0 + 1, map.size(2) - 1);
  const auto x1 = std::min(x0 + 1, map.size(3) - 1);
  const double fy = y - static_cast<double>(y0);
  const double fx = x - static_cast<double>(x0);
  const auto at = [&](int64_t i, int64_t j) {
    return static_cast<double>(map[b][c][i][j].item<float>());
  };
  return (1 - fy) * ((1 - fx) * at(y0, x0) + fx * at(y0, x1)) +
         fy * ((1 - fx) * at(y1, x0) + fx * at(y1, x1));
}

}  // namespace

TEST(pooled_boxes_are_roi_align_in_plain_loops) {
  Random random;
  const auto map = random.tensor({2, 3, 5, 7});
  const declip::Size input{40, 56};
  std::vector<float> corners;
  std::vector<int64_t> index;
  for (int k = 0; k < 12; ++k) {
    // Some of them reach over the picture's edge.
    const double x = random.real(-10, 40), y = random.real(-10, 30);
    for (const double v :
         {x, y, x + random.real(1, 30), y + random.real(1, 25)}) {
      corners.push_back(static_cast<float>(v));
    }
    index.push_back(k % 2);
  }
  const auto boxes = at::tensor(corners).view({12, 4});
  const auto pooled = declip::pool_boxes(
      map, input, boxes, {.normalize = false, .image_index = index});
  for (int64_t k = 0; k < 12; ++k) {
    const auto corner = [&](int64_t i) {
      return static_cast<double>(boxes[k][i].item<float>()) / 8;
    };
    const double width = corner(2) - corner(0), height = corner(3) - corner(1);
    const double gx = std::ceil(width), gy = std::ceil(height);
    for (int64_t c = 0; c < 3; ++c) {
      double sum = 0;
      for (int i = 0; i < gy; ++i) {
        for (int j = 0; j < gx; ++j) {
          sum += bilinear_cell(map,
                               index[static_cast<size_t>(k)],
                               c,
                               corner(1) - 0.5 + (i + 0.5) * height / gy,
                               corner(0) - 0.5 + (j + 0.5) * width / gx);
        }
      }
      CHECK(std::abs(pooled[k][c].item<double>() - sum / (gx * gy)) < 1e-5);
    }
  }
}

TEST(pooled_masks_are_means_of_patches) {
  Random random;
  const auto map = random.tensor({1, 4, 3, 5});
  auto masks = at::zeros({3, 3, 5}, at::kByte);
  masks[0][1][2] = 7;
  masks[1].fill_(1);
  const auto pooled = declip::pool_masks(
      map, {24, 40}, masks, false, {.normalize = false, .image_index = {}});
  CHECK(at::allclose(pooled[0], map[0].select(1, 1).select(1, 2)));
  CHECK(at::allclose(pooled[1], map[0].mean({1, 2}), 1e-5, 1e-6));
  CHECK(pooled[2].eq(0).all().item<bool>());
  // Unit length, but for the one that has none.
  const auto unit = declip::pool_masks(map, {24, 40}, masks, false, {});
  CHECK(at::allclose(unit.norm(2, {1}), at::tensor({1.0f, 1.0f, 0.0f})));
}

TEST(pooling_refuses_what_does_not_fit) {
  const auto map = at::ones({2, 3, 4, 4});
  const declip::Size input{32, 32};
  const auto boxes = at::tensor({0.0f, 0.0f, 9.0f, 9.0f}).view({1, 4});
  const auto code = ErrorCode::kInvalidArg;
  const auto refused = [&](const at::Tensor& m,
                           const at::Tensor& b,
                           const std::vector<int64_t>& index) {
    CHECK_THROWS_CODE(declip::pool_boxes(m, input, b, {.image_index = index}),
                      code);
  };
  refused(map[0], boxes, {});
  refused(map, boxes[0], {});
  refused(map, boxes / 0, {});
  refused(map, boxes, {2});
  refused(map, boxes, {-1});
  refused(map, boxes, {0, 0});
  CHECK_THROWS_CODE(
      declip::pool_masks(map, input, at::ones({1, 5, 4}), false, {}), code);
  CHECK_THROWS_CODE(declip::pool_masks(map, input, at::ones({4, 4}), false, {}),
                    code);
  CHECK(declip::pool_boxes(map, input, at::empty({0, 4}), {}).sizes() ==
        at::IntArrayRef({0, 3}));
}

TEST(boxes_of_masks_hold_every_pixel_and_no_more) {
  Random random;
  auto masks = at::zeros({40, 9, 13}, at::kByte);
  for (int64_t k = 1; k < 40; ++k) {
    for (int64_t n = random.integer(1, 4); n > 0; --n) {
      masks[k][random.integer(0, 8)][random.integer(0, 12)] = 255;
    }
  }
  const auto boxes = declip::boxes_of_masks(masks);
  CHECK((boxes[0] == PixelBox{0, 0, 0, 0}));
  for (int64_t k = 1; k < 40; ++k) {
    const auto at = masks[k].nonzero();
    const auto low = std::get<0>(at.min(0)), high = std::get<0>(at.max(0));
    const PixelBox expected{low[1].item<double>(),
                            low[0].item<double>(),
                            high[1].item<double>() + 1,
                            high[0].item<double>() + 1};
    CHECK(boxes[static_cast<size_t>(k)] == expected);
  }
  CHECK_THROWS_CODE(declip::boxes_of_masks(at::ones({1, 2, 2})),
                    ErrorCode::kInvalidArg);
  CHECK(declip::boxes_of_masks(at::ones({0, 2, 2}, at::kByte)).empty());
}

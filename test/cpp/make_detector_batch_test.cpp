#include "declip/make_detector_batch.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "declip/error.h"
#include "declip/resize.h"
#include "tap.h"

using declip::ErrorCode;
using declip::JitterPicture;

namespace {

/// A picture of noise with rectangles as objects.
JitterPicture picture_of(int64_t height, int64_t width, bool has_masks) {
  JitterPicture out;
  out.pixels = at::randint(0, 256, {height, width, 3}, at::kByte);
  out.boxes = {
      {2, 3, 20, 17},
      {10.5, 4.25, 33.75, 30.5},
      {static_cast<double>(width) - 6, 1, static_cast<double>(width), 9}};
  if (!has_masks) return out;
  out.masks = at::zeros({3, height, width}, at::kByte);
  for (int64_t i = 0; i < 3; ++i) {
    const auto& box = out.boxes[static_cast<size_t>(i)];
    out.masks.select(0, i)
        .slice(0, static_cast<int64_t>(box.y1), static_cast<int64_t>(box.y2))
        .slice(1, static_cast<int64_t>(box.x1), static_cast<int64_t>(box.x2))
        .fill_(1);
  }
  return out;
}

/// The same, pixel by pixel, of mmdetection's rules: a crop of the resized
/// picture at (left, top), then the mirror, then the statistics.
struct Slow {
  int64_t resized_height = 0, resized_width = 0, height = 0, width = 0;
  int64_t left = 0, top = 0;
};

Slow slow_geometry(const JitterPicture& picture, int64_t side) {
  const auto h = static_cast<double>(picture.pixels.size(0));
  const auto w = static_cast<double>(picture.pixels.size(1));
  const double k =
      std::floor(static_cast<double>(side) * picture.scale) / std::max(h, w);
  Slow out;
  out.resized_height = static_cast<int64_t>(std::floor(h * k + 0.5));
  out.resized_width = static_cast<int64_t>(std::floor(w * k + 0.5));
  out.height = std::min(side, out.resized_height);
  out.width = std::min(side, out.resized_width);
  out.left = static_cast<int64_t>(
      std::floor(picture.crop_x * (out.resized_width - out.width + 1)));
  out.top = static_cast<int64_t>(
      std::floor(picture.crop_y * (out.resized_height - out.height + 1)));
  return out;
}

}  // namespace

TEST(jittered_pictures_are_those_of_a_slow_reference) {
  at::manual_seed(3);
  constexpr int64_t kSide = 32;
  const double mean[] = {123.675, 116.28, 103.53};
  const double deviation[] = {58.395, 57.12, 57.375};
  for (const bool has_masks : {false, true}) {
    for (const bool mirror : {false, true}) {
      for (const double scale : {0.1, 0.6, 1.0, 1.7, 2.0}) {
        auto picture = picture_of(41, 57, has_masks);
        picture.scale = scale;
        picture.crop_x = 0.77;
        picture.crop_y = 0.31;
        picture.mirror = mirror;
        const auto made = declip::make_detector_batch({picture}, kSide, {});
        const auto g = slow_geometry(picture, kSide);
        const auto& sample = made.samples[0];
        CHECK(sample.size.height == g.height && sample.size.width == g.width);
        const auto resized = declip::resize_linear_u8(
            picture.pixels, {g.resized_height, g.resized_width});
        double worst = 0;
        for (int64_t c = 0; c < 3; ++c) {
          for (int64_t y = 0; y < kSide; ++y) {
            for (int64_t x = 0; x < kSide; ++x) {
              double expected = 0;
              if (y < g.height && x < g.width) {
                const int64_t from = mirror ? g.width - 1 - x : x;
                expected =
                    (resized[g.top + y][g.left + from][c].item<double>() -
                     mean[c]) /
                    deviation[c];
              }
              worst = std::max(
                  worst,
                  std::abs(made.images[0][c][y][x].item<double>() - expected));
            }
          }
        }
        CHECK_CLOSE(worst, 0, 2e-6);

        size_t at = 0;
        for (int32_t i = 0; i < 3; ++i) {
          const auto& box = picture.boxes[static_cast<size_t>(i)];
          const double sx = static_cast<double>(g.resized_width) / 57;
          const double sy = static_cast<double>(g.resized_height) / 41;
          double x1 = std::clamp<double>(box.x1 * sx - g.left, 0, g.width);
          double x2 = std::clamp<double>(box.x2 * sx - g.left, 0, g.width);
          double y1 = std::clamp<double>(box.y1 * sy - g.top, 0, g.height);
          double y2 = std::clamp<double>(box.y2 * sy - g.top, 0, g.height);
          if (!(x2 > x1 && y2 > y1)) continue;
          auto mask = at::zeros({kSide, kSide}, at::kByte);
          if (has_masks) {
            x1 = y1 = kSide;
            x2 = y2 = 0;
            for (int64_t y = 0; y < g.height; ++y) {
              for (int64_t x = 0; x < g.width; ++x) {
                const auto row = static_cast<int64_t>((y + g.top) * (1.0 / sy));
                const auto column =
                    static_cast<int64_t>((x + g.left) * (1.0 / sx));
                if (picture
                        .masks[i][std::min<int64_t>(row, 40)]
                              [std::min<int64_t>(column, 56)]
                        .item<int>() == 0) {
                  continue;
                }
                mask[y][mirror ? g.width - 1 - x : x] = 1;
                x1 = std::min<double>(x1, x);
                x2 = std::max<double>(x2, x + 1);
                y1 = std::min<double>(y1, y);
                y2 = std::max<double>(y2, y + 1);
              }
            }
          }
          if (x2 - x1 <= 0.01 || y2 - y1 <= 0.01) continue;
          if (mirror) {
            std::swap(x1, x2);
            x1 = g.width - x1;
            x2 = g.width - x2;
          }
          CHECK(at < sample.kept.size() && sample.kept[at] == i);
          if (at >= sample.kept.size()) break;
          const double expected[] = {x1, y1, x2, y2};
          for (int64_t k = 0; k < 4; ++k) {
            CHECK_CLOSE(
                sample.boxes[static_cast<int64_t>(at)][k].item<double>(),
                expected[k],
                1e-4);
          }
          if (has_masks) {
            CHECK(at::equal(sample.masks[static_cast<int64_t>(at)], mask));
          }
          ++at;
        }
        CHECK(at == sample.kept.size());
        CHECK(sample.masks.defined() == has_masks);
      }
    }
  }
}

TEST(a_jittered_batch_is_made_of_its_pictures_alone) {
  auto a = picture_of(40, 30, true), b = picture_of(25, 64, true);
  a.scale = 1.5;
  b.mirror = true;
  const auto both = declip::make_detector_batch({a, b}, 48, {});
  const auto alone = declip::make_detector_batch({b}, 48, {});
  CHECK(at::equal(both.images[1], alone.images[0]));
  CHECK(at::equal(both.samples[1].masks, alone.samples[0].masks));
  CHECK(both.images.sizes() == at::IntArrayRef({2, 3, 48, 48}));
}

TEST(jitter_that_cannot_be_is_refused) {
  const auto refused = [](auto change) {
    auto picture = picture_of(40, 40, true);
    change(picture);
    CHECK_THROWS_CODE(declip::make_detector_batch({picture}, 32, {}),
                      ErrorCode::kInvalidArg);
  };
  refused([](auto& p) { p.scale = 0; });
  refused([](auto& p) { p.scale = NAN; });
  refused([](auto& p) { p.crop_x = 1; });
  refused([](auto& p) { p.crop_y = -0.1; });
  refused([](auto& p) { p.masks = p.masks.slice(0, 0, 2); });
  refused([](auto& p) { p.masks = at::zeros({3, 40, 39}, at::kByte); });
  refused([](auto& p) { p.masks = p.masks.to(at::kFloat); });
  refused([](auto& p) { p.pixels = at::Tensor(); });
  CHECK_THROWS_CODE(declip::make_detector_batch({}, 32, {}),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(
      declip::make_detector_batch({picture_of(40, 40, false)}, 0, {}),
      ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(
      declip::join_maps({at::zeros({1, 2, 3, 3}), at::zeros({1, 2, 3, 4})},
                        at::kFloat),
      ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::join_maps({}, at::kFloat), ErrorCode::kInvalidArg);
}

TEST(joined_maps_keep_their_values) {
  at::manual_seed(5);
  const auto a = at::randn({1, 4, 3, 5}), b = at::randn({2, 4, 3, 5});
  const auto joined = declip::join_maps({a, b}, at::kFloat);
  CHECK(at::equal(joined, at::cat({a, b})));
  CHECK(joined.is_contiguous(at::MemoryFormat::ChannelsLast));
  const auto rounded = declip::join_maps({a}, at::kBFloat16);
  CHECK(at::equal(declip::join_maps({rounded}, at::kFloat),
                  a.to(at::kBFloat16).to(at::kFloat)));
}

#include "declip/make_cat_seg_batch.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "declip/error.h"
#include "declip/resize.h"
#include "tap.h"
#include "train/color_jitter.h"

using declip::ErrorCode;
using declip::SemanticPicture;

namespace {

const declip::PixelStats kStatistics{};

SemanticPicture noise_with_labels(int64_t height, int64_t width) {
  SemanticPicture out;
  out.pixels = at::randint(0, 256, {height, width, 3}, at::kByte);
  out.labels = at::randint(0, 9, {height, width}, at::kByte);
  return out;
}

struct SlowPixel {
  int64_t r = 0, g = 0, b = 0;
};

/// HSV of a pixel in real numbers, hue in steps of 2 degrees.
std::array<double, 3> slow_hsv(SlowPixel p) {
  const double r = p.r, g = p.g, b = p.b;
  const double most = std::max({r, g, b}), range = most - std::min({r, g, b});
  double hue = 0;
  if (range > 0) {
    if (most == r) {
      hue = 30 * (g - b) / range;
    } else if (most == g) {
      hue = 30 * (b - r) / range + 60;
    } else {
      hue = 30 * (r - g) / range + 120;
    }
  }
  if (hue < 0) hue += 180;
  return {hue, most > 0 ? 255 * range / most : 0, most};
}

/// RGB of HSV in real numbers, by the triangle form of the same cone.
std::array<double, 3> slow_rgb(double hue, double saturation, double value) {
  std::array<double, 3> out{};
  const std::array<double, 3> offsets{5, 3, 1};
  for (size_t c = 0; c < 3; ++c) {
    const double k = std::fmod(offsets[c] + hue / 30, 6.0);
    const double share = std::max(0.0, std::min({k, 4 - k, 1.0}));
    out[c] = value * (1 - saturation / 255 * share);
  }
  return out;
}

bool is_refused(std::vector<SemanticPicture> pictures,
                int64_t side,
                int64_t classes) {
  try {
    declip::make_cat_seg_batch(
        std::move(pictures), side, classes, kStatistics, {});
  } catch (const declip::Error& error) {
    return error.code() == ErrorCode::kInvalidArg;
  }
  return false;
}

}  // namespace

TEST(semantic_pictures_are_those_of_a_slow_reference) {
  at::manual_seed(5);
  constexpr int64_t kSide = 40;
  constexpr int64_t kClasses = 7;
  struct Case {
    int64_t height, width, short_side, long_side;
  };
  for (const auto& c : {Case{50, 80, 40, 1333},
                        Case{33, 21, 40, 1333},
                        Case{30, 120, 40, 60},
                        Case{40, 40, 40, 40},
                        Case{90, 61, 25, 1333}}) {
    for (const bool mirror : {false, true}) {
      auto picture = noise_with_labels(c.height, c.width);
      picture.short_side = c.short_side;
      picture.long_side = c.long_side;
      picture.crop_x = 0.7;
      picture.crop_y = 0.4;
      picture.mirror = mirror;
      const auto made = declip::make_cat_seg_batch(
          {picture}, kSide, kClasses, kStatistics, {});
      CHECK((made.images.sizes() == at::IntArrayRef({1, 3, kSide, kSide})));
      CHECK((made.labels.sizes() == at::IntArrayRef({1, kSide, kSide})));

      double scale = static_cast<double>(c.short_side) /
                     static_cast<double>(std::min(c.height, c.width));
      const double longest = std::max(c.height, c.width) * scale;
      if (longest > c.long_side) scale *= c.long_side / longest;
      const auto rows = static_cast<int64_t>(std::floor(c.height * scale + .5));
      const auto columns =
          static_cast<int64_t>(std::floor(c.width * scale + .5));
      const auto resized =
          declip::resize_pillow(picture.pixels.const_data_ptr<uint8_t>(),
                                {c.height, c.width},
                                {rows, columns},
                                declip::PillowFilter::kBilinear);
      const auto height = std::min(rows, kSide);
      const auto width = std::min(columns, kSide);
      const auto top =
          static_cast<int64_t>(std::floor(0.4 * (rows - height + 1)));
      const auto left =
          static_cast<int64_t>(std::floor(0.7 * (columns - width + 1)));
      const auto nearest = [](int64_t at, int64_t from, int64_t to) {
        const float step = static_cast<float>(from) / static_cast<float>(to);
        return std::min(
            static_cast<int64_t>(std::floor(static_cast<float>(at) * step)),
            from - 1);
      };
      int64_t wrong = 0, ignored = 0;
      float far = 0;
      const auto images = made.images.accessor<float, 4>();
      const auto labels = made.labels.accessor<int64_t, 3>();
      const auto source = picture.labels.accessor<uint8_t, 2>();
      const auto pixels = resized.accessor<uint8_t, 3>();
      for (int64_t y = 0; y < kSide; ++y) {
        for (int64_t x = 0; x < kSide; ++x) {
          const bool inside = y < height && x < width;
          const int64_t from_x = left + (mirror ? width - 1 - x : x);
          int64_t label = -1;
          if (inside) {
            label = source[nearest(top + y, c.height, rows)]
                          [nearest(from_x, c.width, columns)];
            if (label >= kClasses) label = -1;
          }
          ignored += label < 0;
          wrong += labels[0][y][x] != label;
          for (int64_t k = 0; k < 3; ++k) {
            const double value = inside ? pixels[top + y][from_x][k] : 128;
            const auto channel = static_cast<size_t>(k);
            const double want = (value - 255 * kStatistics.mean[channel]) /
                                (255 * kStatistics.std[channel]);
            far = std::max(
                far, std::abs(images[0][k][y][x] - static_cast<float>(want)));
          }
        }
      }
      CHECK(wrong == 0);
      CHECK(ignored > 0);
      CHECK(far < 2e-6F);
    }
  }
}

TEST(colours_go_through_hsv_and_back_as_the_cone_says) {
  // All colours in steps: what is rounded to bytes and truncated to bytes lies
  // within one of the real numbers.
  double far_hue = 0, far_saturation = 0, far_back = 0;
  for (int64_t r = 0; r < 256; r += 5) {
    for (int64_t g = 0; g < 256; g += 3) {
      for (int64_t b = 0; b < 256; b += 5) {
        std::array<uint8_t, 3> pixel{static_cast<uint8_t>(r),
                                     static_cast<uint8_t>(g),
                                     static_cast<uint8_t>(b)};
        declip::rgb_to_hsv_u8(pixel.data());
        const auto want = slow_hsv({r, g, b});
        const double apart = std::abs(pixel[0] - want[0]);
        far_hue = std::max(far_hue, std::min(apart, 180 - apart));
        far_saturation = std::max(far_saturation, std::abs(pixel[1] - want[1]));
        CHECK(static_cast<double>(pixel[2]) == want[2]);
        const auto rgb = slow_rgb(pixel[0], pixel[1], pixel[2]);
        declip::hsv_to_rgb_u8(pixel.data());
        for (size_t c = 0; c < 3; ++c) {
          // Truncated: never above, less than one below.
          far_back = std::max(far_back, std::abs(rgb[c] - 0.5 - pixel[c]));
        }
      }
    }
  }
  // Rounded, and OpenCV's factors are rounded to 1 / 4096 before: 255 of them
  // are off by as much as 0.031, and the up to 5 times 255 of hues by 0.156.
  CHECK(far_hue < 0.657);
  CHECK(far_saturation < 0.532);
  CHECK(far_back < 0.501);
}

TEST(colours_through_hsv_are_those_of_opencv) {
  // cv2.cvtColor of OpenCV 4.14 and 5.0, rows of 64 equal pixels.
  struct Known {
    std::array<int, 3> rgb, hsv, back;
  };
  const std::vector<Known> known{
      {{0, 0, 0}, {0, 0, 0}, {0, 0, 0}},
      {{255, 255, 255}, {0, 0, 255}, {255, 255, 255}},
      {{255, 0, 0}, {0, 255, 255}, {255, 0, 0}},
      {{0, 255, 0}, {60, 255, 255}, {0, 255, 0}},
      {{0, 0, 255}, {120, 255, 255}, {0, 0, 255}},
      {{128, 128, 127}, {30, 2, 128}, {128, 128, 126}},
      {{1, 0, 1}, {150, 255, 1}, {1, 0, 0}},
      {{200, 100, 100}, {0, 127, 200}, {200, 100, 100}},
      {{241, 160, 175}, {174, 86, 241}, {241, 159, 175}},
      {{229, 148, 198}, {161, 90, 229}, {229, 148, 199}},
      {{213, 57, 14}, {6, 238, 213}, {213, 53, 14}},
      {{76, 72, 223}, {121, 173, 223}, {76, 71, 223}},
      {{233, 1, 127}, {164, 254, 233}, {233, 0, 124}},
      {{210, 33, 204}, {151, 215, 210}, {210, 32, 204}},
      {{30, 119, 209}, {105, 218, 209}, {30, 119, 209}},
      {{77, 87, 71}, {49, 47, 87}, {76, 87, 70}},
      {{184, 65, 253}, {139, 189, 253}, {184, 65, 253}},
      {{113, 122, 129}, {103, 32, 129}, {112, 121, 129}},
      {{149, 141, 130}, {17, 33, 149}, {149, 140, 129}},
      {{254, 206, 202}, {2, 52, 254}, {254, 205, 202}},
      {{179, 159, 87}, {23, 131, 179}, {179, 157, 87}},
      {{253, 119, 55}, {10, 200, 253}, {253, 120, 54}},
      {{216, 41, 219}, {149, 207, 219}, {213, 41, 219}},
      {{156, 29, 11}, {4, 237, 156}, {156, 30, 11}},
  };
  for (const auto& k : known) {
    std::array<uint8_t, 3> pixel{};
    std::copy(k.rgb.begin(), k.rgb.end(), pixel.begin());
    declip::rgb_to_hsv_u8(pixel.data());
    for (size_t c = 0; c < 3; ++c) CHECK(int{pixel[c]} == k.hsv[c]);
    declip::hsv_to_rgb_u8(pixel.data());
    for (size_t c = 0; c < 3; ++c) CHECK(int{pixel[c]} == k.back[c]);
  }
}

TEST(colours_are_changed_in_the_order_that_was_drawn) {
  at::manual_seed(8);
  const auto rgb = at::randint(0, 256, {9, 33, 3}, at::kByte);
  const auto linear = [](const at::Tensor& x, double factor, double offset) {
    return (x.to(at::kFloat) * factor + offset).clamp(0, 255).to(at::kByte);
  };
  const auto through_hsv = [](const at::Tensor& x, const auto& change) {
    auto out = x.clone();
    auto* pixel = out.mutable_data_ptr<uint8_t>();
    for (int64_t i = 0; i < out.numel(); i += 3) {
      declip::rgb_to_hsv_u8(pixel + i);
      change(pixel + i);
      declip::hsv_to_rgb_u8(pixel + i);
    }
    return out;
  };
  const auto colored = [&](const at::Tensor& x) {
    const auto saturated = through_hsv(x, [](uint8_t* p) {
      p[1] = static_cast<uint8_t>(
          std::min(std::floor(static_cast<float>(p[1]) * 1.3F), 255.0F));
    });
    return through_hsv(saturated, [](uint8_t* p) {
      p[0] = static_cast<uint8_t>((p[0] + 180 - 11) % 180);
    });
  };
  for (const bool first : {false, true}) {
    auto made = rgb.clone();
    declip::jitter_colors(made, {17.25, 0.625, 1.3, -11, first});
    const auto brighter = linear(rgb, 1, 17.25);
    const auto want = first ? colored(linear(brighter, 0.625, 0))
                            : linear(colored(brighter), 0.625, 0);
    CHECK(at::equal(made, want));
    CHECK(!at::equal(made, rgb));
  }
  auto same = rgb.clone();
  declip::jitter_colors(same, {});
  CHECK(at::equal(same, rgb));
}

TEST(semantic_pictures_that_cannot_be_are_refused) {
  const auto good = [] { return noise_with_labels(20, 30); };
  CHECK(!is_refused({good()}, 16, 5));
  CHECK(is_refused({}, 16, 5));
  CHECK(is_refused({good()}, 0, 5));
  CHECK(is_refused({good()}, 16, 0));
  const auto with = [&](const auto& change) {
    auto picture = good();
    change(picture);
    return is_refused({good(), picture}, 16, 5);
  };
  CHECK(with([](auto& p) { p.pixels = at::Tensor(); }));
  CHECK(with([](auto& p) { p.labels = at::Tensor(); }));
  CHECK(with([](auto& p) { p.labels = p.labels.t().contiguous(); }));
  CHECK(with([](auto& p) { p.labels = p.labels.to(at::kFloat); }));
  CHECK(with([](auto& p) { p.short_side = 0; }));
  CHECK(with([](auto& p) { p.long_side = 10; }));
  CHECK(with([](auto& p) { p.crop_x = 1; }));
  CHECK(with([](auto& p) { p.crop_y = -0.1; }));
  CHECK(with([](auto& p) { p.contrast = -1; }));
  CHECK(with([](auto& p) { p.saturation = std::nan(""); }));
  CHECK(with([](auto& p) { p.brightness = 300; }));
  CHECK(with([](auto& p) { p.hue = 200; }));
}

TEST(labels_of_16_bits_are_read_and_others_than_classes_ignored) {
  auto picture = noise_with_labels(16, 16);
  picture.short_side = 16;
  picture.labels = at::arange(256, at::kInt).reshape({16, 16}) * 300 - 300;
  const auto made =
      declip::make_cat_seg_batch({picture}, 16, 40000, kStatistics, {});
  const auto wide = picture.labels.to(at::kLong);
  const auto want = wide.masked_fill(wide.lt(0).logical_or(wide.ge(40000)), -1);
  CHECK(at::equal(made.labels[0], want));
  CHECK(made.labels.max().item<int64_t>() == 39900);
}

#include "declip/resize.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "declip/error.h"
#include "random_planes.h"
#include "tap.h"

using declip::ErrorCode;
using declip::Fit;
using declip::PillowFilter;
using declip::Size;

namespace {

constexpr std::array<double, 3> kZero{0, 0, 0};
constexpr std::array<double, 3> kOne{1, 1, 1};

/// Value k of the picture that the expected outputs below were made from.
std::vector<uint8_t> pattern(Size size) {
  std::vector<uint8_t> out(size.height * size.width * 3);
  for (size_t k = 0; k < out.size(); ++k)
    out[k] = (k * k * 7 + k * 37 + 11) % 256;
  return out;
}

bool holds(const at::Tensor& pixels, const std::vector<int>& expected) {
  return pixels.numel() == static_cast<int64_t>(expected.size()) &&
         std::equal(expected.begin(),
                    expected.end(),
                    pixels.const_data_ptr<uint8_t>());
}

struct ResizeCase {
  Size from;
  Size to;
  std::vector<int> expected;
};

}  // namespace

// Expected values: cv2.resize(..., interpolation=cv2.INTER_LINEAR), OpenCV 5.0.
TEST(linear_equals_opencv) {
  for (const ResizeCase& c : {
           ResizeCase{{3, 4}, {2, 5}, {54,  76,  112, 129, 46,  112, 183, 76,
                                       175, 177, 104, 237, 116, 72,  234, 96,
                                       178, 82,  163, 140, 73,  207, 160, 127,
                                       192, 179, 179, 122, 138, 168}},
           ResizeCase{{5, 7}, {4, 2}, {185, 54,  137, 122, 114, 97,  156, 169,
                                       76,  128, 168, 102, 180, 121, 75,  131,
                                       99,  160, 146, 134, 135, 132, 186, 159}},
           ResizeCase{
               {4, 4},
               {2, 2},
               {118, 75, 110, 134, 111, 230, 134, 171, 94, 182, 175, 118}},
       }) {
    CHECK(holds(declip::resize_linear_u8(pattern(c.from).data(), c.from, c.to),
                c.expected));
  }
}

// Expected values: PIL.Image.resize(..., Image.BICUBIC), Pillow 12.3.
TEST(bicubic_equals_pillow) {
  for (const ResizeCase& c : {
           ResizeCase{{3, 4}, {2, 5}, {72,  84,  113, 125, 46,  103, 178, 82,
                                       175, 167, 116, 246, 97,  75,  234, 112,
                                       178, 86,  156, 133, 69,  200, 159, 131,
                                       180, 184, 192, 102, 135, 172}},
           ResizeCase{{5, 7}, {4, 2}, {147, 76,  160, 151, 130, 154, 163, 172,
                                       116, 137, 165, 139, 152, 119, 111, 102,
                                       136, 126, 136, 133, 154, 150, 114, 164}},
           ResizeCase{
               {4, 4},
               {2, 2},
               {131, 88, 115, 144, 110, 217, 138, 175, 99, 168, 170, 131}},
       }) {
    CHECK(
        holds(declip::resize_pillow(
                  pattern(c.from).data(), c.from, c.to, PillowFilter::kBicubic),
              c.expected));
  }
}

TEST(bilinear_equals_pillow) {
  for (const ResizeCase& c : {
           ResizeCase{{3, 4}, {2, 5}, {76,  87,  112, 128, 56,  111, 171, 85,
                                       173, 165, 112, 234, 103, 80,  231, 111,
                                       172, 87,  156, 134, 79,  191, 155, 133,
                                       177, 174, 186, 108, 135, 176}},
           ResizeCase{{5, 7}, {4, 2}, {149, 86,  155, 147, 130, 152, 158, 165,
                                       118, 135, 162, 136, 150, 125, 112, 108,
                                       135, 129, 139, 131, 151, 144, 120, 162}},
           ResizeCase{
               {4, 4},
               {2, 2},
               {132, 96, 121, 145, 112, 204, 139, 168, 102, 164, 165, 134}},
       }) {
    CHECK(holds(
        declip::resize_pillow(
            pattern(c.from).data(), c.from, c.to, PillowFilter::kBilinear),
        c.expected));
  }
}

TEST(every_resize_keeps_a_flat_picture_and_the_same_size) {
  Random random;
  for (int i = 0; i < 30; ++i) {
    const Size from{random.integer(1, 40), random.integer(1, 40)};
    const Size to{random.integer(1, 60), random.integer(1, 60)};
    const std::vector<uint8_t> flat(from.height * from.width * 3, 201);
    const std::vector<int> expected(to.height * to.width * 3, 201);
    CHECK(holds(declip::resize_linear_u8(flat.data(), from, to), expected));
    const auto picture = pattern(from);
    const std::vector<int> same(picture.begin(), picture.end());
    CHECK(holds(declip::resize_linear_u8(picture.data(), from, from), same));
    for (const auto filter :
         {PillowFilter::kBicubic, PillowFilter::kBilinear}) {
      CHECK(holds(declip::resize_pillow(flat.data(), from, to, filter),
                  expected));
      CHECK(holds(declip::resize_pillow(picture.data(), from, from, filter),
                  same));
    }
  }
}

TEST(sizes_follow_mmcv) {
  CHECK((declip::keep_ratio_size({300, 451}, 336) == Size{336, 505}));
  CHECK((declip::keep_ratio_size({451, 300}, 336) == Size{505, 336}));
  CHECK((declip::keep_ratio_size({100, 1000}, 336) == Size{205, 2048}));
  CHECK((declip::keep_ratio_size({1, 100000}, 336) == Size{1, 2048}));
  const auto no_larger = [](Size size) {
    return declip::keep_ratio_size(size, 336, 2048, /*enlarge=*/false);
  };
  CHECK((no_larger({300, 451}) == Size{300, 451}));
  CHECK((no_larger({3000, 4510}) == Size{336, 505}));
  CHECK((no_larger({100, 4096}) == Size{50, 2048}));
}

TEST(crop_takes_the_middle_of_the_short_side) {
  // 4 x 8 to side 2: 2 x 4, then columns 1 and 2.
  const auto picture = pattern({4, 8});
  const auto whole = declip::resize_pillow(
      picture.data(), {4, 8}, {2, 4}, PillowFilter::kBicubic);
  const auto crop =
      declip::preprocess(picture.data(), {4, 8}, Fit::kCrop, 2, kZero, kOne);
  const auto expected = whole.narrow(1, 1, 2)
                            .to(at::kFloat)
                            .div(255)
                            .permute({2, 0, 1})
                            .unsqueeze(0);
  CHECK_CLOSE(distance(crop, expected), 0, 1e-7);
}

TEST(pad_puts_black_at_the_right_and_bottom_before_normalising) {
  const std::vector<uint8_t> white(3 * 6 * 3, 255);
  const auto out = declip::preprocess(
      white.data(), {3, 6}, Fit::kPad, 4, {0.5, 0.5, 0.5}, {0.25, 0.25, 0.25});
  // 3 * 4 / 6 = 2 rows of picture.
  CHECK_CLOSE(distance(out.narrow(2, 0, 2), at::full({1, 3, 2, 4}, 2.0)), 0, 0);
  CHECK_CLOSE(
      distance(out.narrow(2, 2, 2), at::full({1, 3, 2, 4}, -2.0)), 0, 0);
}

TEST(pad_rounds_halves_to_even) {
  // 2 * 5 / 4 = 2.5 columns: 2, as Python's round().
  const std::vector<uint8_t> picture(4 * 2 * 3, 255);
  const auto out =
      declip::preprocess(picture.data(), {4, 2}, Fit::kPad, 5, kZero, kOne);
  CHECK(out.select(3, 1).min().item<float>() == 1.0f);
  CHECK(out.select(3, 2).max().item<float>() == 0.0f);
}

TEST(squash_fills_the_square) {
  const auto picture = pattern({5, 9});
  const auto out =
      declip::preprocess(picture.data(), {5, 9}, Fit::kSquash, 6, kZero, kOne);
  const auto expected = declip::resize_pillow(
      picture.data(), {5, 9}, {6, 6}, PillowFilter::kBilinear);
  CHECK_CLOSE(
      distance(
          out,
          expected.to(at::kFloat).div(255).permute({2, 0, 1}).unsqueeze(0)),
      0,
      1e-7);
}

// Sizes computed by transformers' rule in Python.
TEST(patches_keep_the_shape_of_a_picture) {
  struct Sizes {
    Size from;
    int64_t patch, most;
    Size to;
  };
  for (const auto& [from, patch, most, to] : std::vector<Sizes>{
           {{480, 640}, 16, 256, {224, 288}},
           {{640, 480}, 16, 256, {288, 224}},
           {{224, 224}, 16, 256, {256, 256}},
           {{37, 1000}, 14, 30, {14, 392}},
           {{5000, 3}, 16, 256, {4096, 16}},
           {{1, 1}, 16, 1, {16, 16}},
           {{300, 300}, 16, 784, {448, 448}},
       }) {
    declip::Preprocess how;
    how.resize = declip::Preprocess::Resize::kPatches;
    how.crop = false;
    how.bicubic = false;
    how.max_patches = most;
    how.patch_side = patch;
    const auto picture = pattern(from);
    const auto out =
        declip::preprocess(picture.data(), from, how, 999, {kZero, kOne});
    CHECK(out.sizes() == at::IntArrayRef({1, 3, to.height, to.width}));
    const auto expected = declip::resize_pillow(
        picture.data(), from, to, PillowFilter::kBilinear);
    CHECK_CLOSE(
        distance(
            out,
            expected.to(at::kFloat).div(255).permute({2, 0, 1}).unsqueeze(0)),
        0,
        1e-7);
  }
}

TEST(normalises_on_the_scale_of_the_statistics) {
  const auto pixels = at::tensor({10, 20, 30}, at::kByte).view({1, 1, 3});
  const auto out = declip::normalize_mmcv(
      pixels, {122.771, 116.746, 104.094}, {68.501, 66.632, 70.323});
  CHECK_CLOSE(out[0][0][0][0].item<float>(), (10 - 122.771) / 68.501, 1e-6);
  CHECK_CLOSE(out[0][2][0][0].item<float>(), (30 - 104.094) / 70.323, 1e-6);
  const auto unit =
      declip::normalize_unit(pixels, {0.5, 0.5, 0.5}, {0.25, 0.25, 0.25});
  CHECK_CLOSE(unit[0][1][0][0].item<float>(), (20 / 255.0 - 0.5) / 0.25, 1e-6);
}

TEST(absurd_sizes_are_refused) {
  const uint8_t pixel[3] = {0, 0, 0};
  const int64_t huge = int64_t{1} << 40;
  CHECK_THROWS_CODE(declip::resize_linear_u8(pixel, {1, 1}, {huge, huge}),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::resize_linear_u8(pixel, {0, 1}, {1, 1}),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(
      declip::resize_pillow(pixel, {1, 1}, {1, -1}, PillowFilter::kBicubic),
      ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::keep_ratio_size({1, 1}, 0), ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(
      declip::preprocess(pixel, {1, 1}, Fit::kCrop, 0, kZero, kOne),
      ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::normalize_mmcv(at::zeros({2, 2, 3}), kZero, kOne),
                    ErrorCode::kInvalidArg);
}

TEST(pixels_of_one_three_and_four_channels_become_rgb) {
  const auto rgba = at::arange(24, at::kByte).view({2, 3, 4});
  CHECK(declip::rgb_pixels(rgba).equal(rgba.slice(2, 0, 3)));
  for (const Size to : {Size{2, 2}, Size{3, 5}, Size{4, 4}, Size{9, 7}}) {
    for (const int64_t channels : {1, 3, 4}) {
      const auto pixels =
          rgba.repeat({2, 2, 1}).slice(0, 0, 4).slice(1, 0, 4).slice(
              2, 0, channels);
      const auto copy = declip::rgb_pixels(pixels);
      const auto expected = declip::resize_linear_u8(
          copy.const_data_ptr<uint8_t>(), {copy.size(0), copy.size(1)}, to);
      CHECK(declip::resize_linear_u8(pixels, to).equal(expected));
    }
  }
  const auto rgb = at::arange(18, at::kByte).view({2, 3, 3});
  CHECK(declip::rgb_pixels(rgb).data_ptr() == rgb.data_ptr());
  const auto grey = at::arange(6, at::kByte).view({2, 3, 1});
  const auto repeated = declip::rgb_pixels(grey);
  CHECK(repeated.is_contiguous());
  CHECK(repeated.equal(at::cat({grey, grey, grey}, 2)));
  const auto code = declip::ErrorCode::kInvalidArg;
  CHECK_THROWS_CODE(declip::rgb_pixels(rgba.slice(2, 0, 2)), code);
  CHECK_THROWS_CODE(declip::rgb_pixels(rgba[0]), code);
  CHECK_THROWS_CODE(declip::rgb_pixels(rgba.to(at::kInt)), code);
  CHECK_THROWS_CODE(declip::rgb_pixels(at::empty({0, 3, 3}, at::kByte)), code);
}

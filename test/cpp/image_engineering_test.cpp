#include "segment/image_engineering.h"

#include <ATen/ATen.h>

#include <cmath>

#include "declip/error.h"
#include "files/safetensors.h"
#include "random_planes.h"
#include "tap.h"

TEST(matches_torchvision) {
  const std::string folder = DECLIP_FIXTURES "/itaclip-pipeline/";
  const auto inputs =
      declip::read_safetensors(folder + "inputs.safetensors").tensors;
  const auto outputs =
      declip::read_safetensors(folder + "outputs.safetensors").tensors;
  const auto image = inputs.at("views-image").clone();
  const auto grey = declip::grey_copy(image);
  for (int64_t c = 0; c < 3; ++c) {
    CHECK_CLOSE(
        distance(grey.narrow(1, c, 1), outputs.at("views.grey")), 0, 1.6e-6);
  }
  CHECK_CLOSE(distance(declip::blurred_copy(image), outputs.at("views.blur")),
              0,
              1.3e-5);
  CHECK(declip::flip_vertical(image).equal(outputs.at("views.flip_vertical")));
  CHECK(declip::flip_horizontal(image).equal(
      outputs.at("views.flip_horizontal")));
}

TEST(blur_matches_plain_loops) {
  Random random;
  const int64_t height = 6, width = 11;  // as narrow as reflection allows
  const auto image = random.tensor({2, 3, height, width});
  const auto reflect = [](int64_t i, int64_t size) {
    if (i < 0) i = -i;
    return i >= size ? 2 * size - 2 - i : i;
  };
  double taps[11], total = 0;
  for (int64_t i = -5; i <= 5; ++i)
    total += taps[i + 5] = std::exp(-i * i / 50.0);
  const auto expected = at::zeros({2, 3, height, width}, at::kDouble);
  for (int64_t b = 0; b < 2; ++b) {
    const auto in = to_planes(image[b]);
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) {
          double sum = 0;
          for (int64_t dy = -5; dy <= 5; ++dy) {
            for (int64_t dx = -5; dx <= 5; ++dx) {
              sum += taps[dy + 5] * taps[dx + 5] / (total * total) *
                     in.at(c, reflect(y + dy, height), reflect(x + dx, width));
            }
          }
          expected[b][c][y][x] = sum;
        }
      }
    }
  }
  CHECK_CLOSE(distance(declip::blurred_copy(image), expected), 0, 1e-6);
}

TEST(windows_too_small_to_reflect_are_refused) {
  CHECK_THROWS_CODE(declip::blurred_copy(at::zeros({1, 3, 5, 8})),
                    declip::ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::blurred_copy(at::zeros({1, 3, 8, 5})),
                    declip::ErrorCode::kInvalidArg);
}

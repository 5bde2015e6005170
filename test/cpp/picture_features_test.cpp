#include "model/picture_features.h"

#include <ATen/ATen.h>

#include "random_planes.h"
#include "tap.h"

namespace {

/// The whole upsampled map, as the authors' code makes it.
at::Tensor plain_means(const at::Tensor& features,
                       const at::Tensor& index,
                       int64_t regions) {
  auto map = at::upsample_bilinear2d(features.to(at::kDouble).unsqueeze(0),
                                     {index.size(0), index.size(1)},
                                     /*align_corners=*/false)[0];
  map = map / map.norm(2, {0}, true).clamp_min(1e-12);
  auto out = at::zeros({regions, features.size(0)}, at::kDouble);
  for (int64_t r = 0; r < regions; ++r) {
    const auto inside = index.eq(r);
    if (inside.any().item<bool>())
      out[r] = map.masked_select(inside).view({features.size(0), -1}).mean(1);
  }
  return out.to(at::kFloat);
}

}  // namespace

TEST(means_of_unit_features_are_those_of_the_whole_upsampled_map) {
  Random random;
  const int64_t shapes[][4] = {{1, 1, 5, 7},
                               {1, 2, 9, 4},
                               {2, 1, 3, 11},
                               {2, 2, 13, 8},
                               {3, 2, 2, 2},
                               {5, 7, 37, 61},
                               {9, 4, 4, 9}};
  for (const auto& [h, w, height, width] : shapes) {
    const tap::Case name(std::to_string(h) + " x " + std::to_string(w));
    const auto features = random.tensor({19, h, w});
    auto index = at::empty({height, width}, at::kInt);
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) index[y][x] = random.integer(-1, 4);
    }
    const auto got = declip::mean_unit_features(features, index, 6);
    CHECK_CLOSE(distance(got, plain_means(features, index, 6)), 0, 1e-6);
    CHECK_CLOSE(got[5].abs().max().item<float>(), 0, 0);
  }
}

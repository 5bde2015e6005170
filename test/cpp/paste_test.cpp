#include "detect/paste.h"

#include <ATen/ATen.h>

#include <cmath>

#include "declip/rle.h"
#include "golden.h"
#include "png.h"
#include "random_planes.h"
#include "tap.h"

using declip::Rle;
using declip::Size;

namespace {

/// Every pixel by PyTorch's grid_sample(), as mmdetection pastes: [H, W].
at::Tensor plain_paste(const at::Tensor& map,
                       const at::Tensor& box,
                       Size size) {
  const auto along = [&](int64_t extent, int k) {
    return (at::arange(extent, at::kFloat) + 0.5 - box[k]) /
               (box[k + 2] - box[k]) * 2 -
           1;
  };
  const auto grid = at::stack(
      {along(size.width, 0).unsqueeze(0).expand({size.height, size.width}),
       along(size.height, 1).unsqueeze(1).expand({size.height, size.width})},
      2);
  return at::grid_sampler(map.view({1, 1, map.size(0), map.size(1)}),
                          grid.unsqueeze(0).contiguous(),
                          0,
                          0,
                          false)[0][0];
}

/// Fails unless `got` is where `plane` is at least `threshold`, but for pixels
/// that rounding decides.
void check_mask(const Rle& got, const at::Tensor& plane, double threshold) {
  const auto mask = declip::decode_rle(got);
  const auto open = (plane - threshold).abs().lt(2e-6);
  const auto wrong = mask.to(at::kBool)
                         .ne(plane.ge(threshold))
                         .logical_and(open.logical_not());
  CHECK(!wrong.any().item<bool>());
}

}  // namespace

TEST(pasted_masks_are_the_authors) {
  const Golden golden("fvit");
  const auto& one = golden.at("lvis.masks");
  const auto& options = *one.find("options");
  const auto& shape = *options.find("ori_shape")->array();
  const Size size{static_cast<int64_t>(*shape[0].number()),
                  static_cast<int64_t>(*shape[1].number())};
  std::vector<double> scale;
  for (const auto& factor : *options.find("scale_factor")->array())
    scale.push_back(*factor.number());
  const auto factors = at::tensor(scale, at::kFloat);
  const auto boxes =
      golden.tensor(*one.find("inputs")->find("detections")).slice(1, 0, 4) *
      factors / factors;
  const auto maps =
      golden.tensor(*one.find("outputs")->find("logits")).sigmoid().squeeze(1);
  const auto got = declip::paste_masks(
      maps, boxes, size, *options.find("mask_threshold")->number());

  const auto& values = *one.find("values");
  const auto image = png::read(golden.path(*values.find("masks_png")->string()))
                         .view({-1, size.height, size.width});
  CHECK(image.size(0) == static_cast<int64_t>(got.size()));
  const auto& rles = *values.find("rle")->array();
  const auto& areas = *values.find("areas")->array();
  int64_t equal = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const auto wanted = image[static_cast<int64_t>(i)].gt(127);
    const auto mask = declip::decode_rle(got[i]).to(at::kBool);
    CHECK(mask.eq(wanted).to(at::kDouble).mean().item<double>() >=
          *values.find("mask_min_agreement")->number());
    CHECK_CLOSE(
        static_cast<double>(declip::rle_area(got[i])), *areas[i].number(), 2);
    equal += declip::compress_counts(got[i].counts) ==
             *rles[i].find("counts")->string();
  }
  // Rounding may decide single pixels.
  CHECK(equal + 2 >= static_cast<int64_t>(got.size()));

  const auto pasted = golden.tensor(*one.find("outputs")->find("pasted"));
  for (int64_t i = 0; i < pasted.size(0); ++i) {
    for (const double threshold : {0.2, 0.5, 0.7}) {
      const auto some = declip::paste_masks(
          maps.slice(0, i, i + 1), boxes.slice(0, i, i + 1), size, threshold);
      const auto off = declip::decode_rle(some[0])
                           .to(at::kBool)
                           .ne(pasted[i].ge(threshold))
                           .logical_and((pasted[i] - threshold).abs().gt(2e-4));
      CHECK(!off.any().item<bool>());
    }
  }
}

TEST(pasted_masks_are_those_of_whole_planes) {
  Random random;
  for (int round = 0; round < 60; ++round) {
    const int64_t m = random.integer(1, 30), n = random.integer(1, 4);
    const Size size{random.integer(1, 60), random.integer(1, 60)};
    auto maps = random.tensor({n, m, m}) * 0.5 + 0.5;
    if (random.coin()) maps = maps.round();
    const auto low = 50 * random.tensor({n, 2});
    auto sides = 80 * random.tensor({n, 2}).abs() + 0.05;
    const auto boxes = at::cat({low, low + sides}, 1);
    const double threshold = random.coin() ? 0.5 : random.real(0.05, 1);
    const auto got = declip::paste_masks(maps, boxes, size, threshold);
    for (int64_t i = 0; i < n; ++i) {
      const auto& one = got[static_cast<size_t>(i)];
      declip::check_counts(one);
      CHECK(one.size == size);
      check_mask(one, plain_paste(maps[i], boxes[i], size), threshold);
      // The runs are those of the mask and no other.
      CHECK(declip::encode_rle(declip::decode_rle(one)) == one);
    }
  }
}

TEST(boxes_without_a_mask_have_an_empty_one) {
  const float nan = std::nanf(""), large = 1e30f;
  const auto boxes = at::tensor({3.f,  3.f, 3.f,    9.f,    20.f,   20.f, 30.f,
                                 30.f, 5.f, 5.f,    1.f,    8.f,    nan,  0.f,
                                 5.f,  5.f, -large, -large, -large, large})
                         .view({5, 4});
  const auto got = declip::paste_masks(at::ones({5, 7, 7}), boxes, {12, 10});
  for (const auto& one : got) {
    CHECK((one.counts == std::vector<uint32_t>{120}));
  }
  CHECK(declip::paste_masks(at::ones({0, 7, 7}), at::zeros({0, 4}), {12, 10})
            .empty());
  const auto whole =
      declip::paste_masks(at::ones({1, 7, 7}),
                          at::tensor({-3.f, -2.f, 40.f, 50.f}).view({1, 4}),
                          {12, 10});
  CHECK((whole[0].counts == std::vector<uint32_t>{0, 120}));
}

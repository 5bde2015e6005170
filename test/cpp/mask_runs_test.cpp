#include "kernels/mask_runs.h"

#include <ATen/ATen.h>

#include <cmath>

#include "declip/rle.h"
#include "golden.h"
#include "random_planes.h"
#include "tap.h"

using declip::Size;

namespace {

/// Logits in the size of the crop, by two resizes of whole planes in double
/// precision.
at::Tensor plain_logits(const at::Tensor& low,
                        int64_t side,
                        Size input,
                        Size crop) {
  const auto square = declip::reference::resize(to_planes(low), side, side);
  declip::reference::Planes cut(1, input.height, input.width);
  for (int64_t y = 0; y < input.height; ++y) {
    for (int64_t x = 0; x < input.width; ++x) {
      cut.at(0, y, x) = square.at(0, y, x);
    }
  }
  const auto full = declip::reference::resize(cut, crop.height, crop.width);
  return at::tensor(full.data, at::kDouble).view({crop.height, crop.width});
}

/// Values that change slowly, so that whole stretches are surely in or out.
at::Tensor blobs(Random& random, int64_t height, int64_t width) {
  const auto coarse = 12 * random.tensor({1, 1, 4, 5});
  return at::upsample_bilinear2d(coarse, {height, width}, false).squeeze(0) +
         0.5 * random.tensor({1, height, width});
}

}  // namespace

TEST(masks_are_those_of_two_resizes_of_whole_planes) {
  Random random;
  for (int round = 0; round < 40; ++round) {
    const int64_t grid = random.integer(1, 4);
    const Size low{4 * grid, 4 * grid};
    const int64_t side = 16 * grid;
    const Size input{random.integer(1, side), random.integer(1, side)};
    const Size crop{random.integer(1, 70), random.integer(1, 70)};
    const int64_t top = random.integer(0, 5), left = random.integer(0, 5);
    const Size picture{crop.height + top + random.integer(0, 4),
                       crop.width + left + random.integer(0, 4)};
    const auto map = random.coin()
                         ? blobs(random, low.height, low.width)
                         : 3 * random.tensor({1, low.height, low.width});
    const double offset = random.coin() ? 1.0 : random.real(0, 3);
    const auto got = declip::MaskRuns(low, side, input, crop)
                         .measure(map, {0}, offset, picture, top, left)[0];
    const auto logits = plain_logits(map, side, input, crop);
    // What rounding may decide.
    const auto near = [&](double threshold) {
      return logits.sub(threshold).abs().lt(1e-4).sum().item<int64_t>();
    };
    const auto above = [&](double threshold) {
      return logits.gt(threshold).sum().item<int64_t>();
    };
    CHECK(std::abs(got.surely - above(offset)) <= near(offset));
    CHECK(std::abs(got.possibly - above(-offset)) <= near(-offset));
    const declip::Rle mask{picture, got.counts};
    const auto pixels = declip::decode_rle(mask);
    const auto wanted = at::zeros({picture.height, picture.width}, at::kByte);
    wanted.slice(0, top, top + crop.height)
        .slice(1, left, left + crop.width)
        .copy_(logits.gt(0));
    CHECK(pixels.ne(wanted).sum().item<int64_t>() <= near(0));
    // No run but the first is empty.
    for (size_t i = 1; i < got.counts.size(); ++i) CHECK(got.counts[i] > 0);
    CHECK(got.area == declip::rle_area(mask));
    const auto box = declip::rle_box(mask);
    if (got.area > 0) {
      CHECK(got.box[0] + left == box[0] && got.box[1] + top == box[1] &&
            got.box[2] - got.box[0] + 1 == box[2] &&
            got.box[3] - got.box[1] + 1 == box[3]);
    } else {
      CHECK(got.box[0] == 0 && got.box[1] == 0 && got.box[2] == 0 &&
            got.box[3] == 0);
    }
  }
}

TEST(chosen_maps_are_measured_in_their_order) {
  Random random;
  const auto maps = 3 * random.tensor({5, 8, 8});
  const declip::MaskRuns runs({8, 8}, 32, {32, 20}, {50, 31});
  const auto some = runs.measure(maps, {3, 0}, 1, {50, 31}, 0, 0);
  const auto all = runs.measure(maps, {0, 1, 2, 3, 4}, 1, {50, 31}, 0, 0);
  CHECK(some[0].counts == all[3].counts && some[1].counts == all[0].counts);
}

TEST(mask_statistics_are_the_authors) {
  const Golden golden("sam-decoder");
  const auto& one = golden.at("mask-statistics");
  const auto logits = golden.tensor(*one.find("inputs")->find("logits"));
  const Size size{logits.size(1), logits.size(2)};
  // Logits in full size: a square of their own size leaves them as they are.
  const int64_t side = std::max(size.height, size.width);
  const auto square = at::constant_pad_nd(
      logits, {0, side - size.width, 0, side - size.height}, 0);
  std::vector<int64_t> all;
  for (int64_t i = 0; i < logits.size(0); ++i) all.push_back(i);
  const auto got = declip::MaskRuns({side, side}, side, size, size)
                       .measure(square.contiguous(),
                                all,
                                *one.find("options")->find("offset")->number(),
                                size,
                                0,
                                0);
  const auto boxes = golden.tensor(*one.find("outputs")->find("boxes"));
  const auto& values = *one.find("values");
  for (size_t i = 0; i < got.size(); ++i) {
    const tap::Case in("mask " + std::to_string(i));
    for (int64_t k = 0; k < 4; ++k) {
      CHECK(got[i].box[k] == boxes[static_cast<int64_t>(i)][k].item<int64_t>());
    }
    CHECK(got[i].area == (*values.find("areas")->array())[i].integer());
    const auto& stability = (*values.find("stability")->array())[i];
    const float ratio =
        static_cast<float>(got[i].surely) / static_cast<float>(got[i].possibly);
    if (stability.is_null()) {
      CHECK(std::isnan(ratio));
    } else {
      CHECK_CLOSE(ratio, *stability.number(), 1e-7);
    }
    std::vector<uint32_t> counts;
    for (const auto& count :
         *(*values.find("rle_counts")->array())[i].array()) {
      counts.push_back(static_cast<uint32_t>(*count.integer()));
    }
    CHECK(got[i].counts == counts);
  }
}

#include "segment/vote.h"

#include <ATen/ATen.h>

#include <map>
#include <vector>

#include "declip/error.h"
#include "golden.h"
#include "random_planes.h"
#include "tap.h"

using declip::Call;
using declip::ErrorCode;
using declip::Segmentation;

namespace {

Segmentation random_result(Random& random,
                           int64_t height,
                           int64_t width,
                           int64_t classes) {
  Segmentation result;
  result.labels =
      at::empty({height, width}, classes <= 256 ? at::kByte : at::kUInt16);
  result.certainty = at::empty({height, width}, at::kByte);
  result.counts.assign(classes, 0);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const int64_t label = random.integer(0, classes - 1);
      result.labels[y][x].fill_(label);
      result.certainty[y][x].fill_(random.integer(0, 255));
      ++result.counts[label];
    }
  }
  return result;
}

/// A region of a random shape has few different labels around it.
at::Tensor random_regions(Random& random,
                          int64_t height,
                          int64_t width,
                          const std::vector<int32_t>& values) {
  auto map = at::empty({height, width}, at::kInt);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      map[y][x].fill_(
          values[random.integer(0, static_cast<int64_t>(values.size()) - 1)]);
    }
  }
  return map;
}

/// The labels by loops over every region's pixels.
at::Tensor voted(const at::Tensor& labels,
                 const at::Tensor& regions,
                 int64_t abstaining) {
  const auto in = labels.to(at::kLong);
  auto out = in.clone();
  std::map<int64_t, std::map<int64_t, int64_t>> counts;
  for (int64_t i = 0; i < in.numel(); ++i) {
    const auto region = regions.view(-1)[i].item<int64_t>();
    ++counts[region][in.view(-1)[i].item<int64_t>()];
  }
  for (int64_t i = 0; i < in.numel(); ++i) {
    const auto region = regions.view(-1)[i].item<int64_t>();
    if (region == abstaining) continue;
    int64_t best = -1, most = 0;
    for (const auto& [label, count] : counts[region]) {
      if (count > most) {
        most = count;
        best = label;
      }
    }
    out.view(-1)[i].fill_(best);
  }
  return out;
}

void check_vote(Random& random, const std::vector<int32_t>& values) {
  const int64_t height = random.integer(1, 17), width = random.integer(1, 21);
  const int64_t classes = random.coin() ? random.integer(1, 5) : 300;
  auto result = random_result(random, height, width, classes);
  const auto regions = random_regions(random, height, width, values);
  const bool smallest = random.coin();
  const int64_t abstaining = smallest ? regions.min().item<int64_t>() : 0;
  const auto before = result.labels.to(at::kLong);
  const auto certainty = result.certainty.clone();
  const auto expected = voted(result.labels, regions, abstaining);
  declip::vote_in_regions(regions, smallest, result, Call());
  const auto labels = result.labels.to(at::kLong);
  CHECK(labels.equal(expected));
  CHECK(result.certainty.equal(certainty * before.eq(expected)));
  for (int64_t c = 0; c < classes; ++c) {
    CHECK(result.counts[c] == expected.eq(c).sum().item<int64_t>());
  }
}

}  // namespace

TEST(a_region_gets_its_most_frequent_label) {
  Random random;
  for (int i = 0; i < 20; ++i) {
    check_vote(random, {0, 1, 2, 3});
    check_vote(random, {4, 9, 10'000});
    // Too far apart for a table.
    check_vote(random, {0, -2147483647 - 1, 2147483647, -5});
  }
}

TEST(of_equally_frequent_labels_the_smallest_wins) {
  Segmentation result;
  result.labels = at::tensor({3, 1, 1, 3}, at::kByte).view({1, 4});
  result.certainty = at::full({1, 4}, 200, at::kByte);
  result.counts = {0, 2, 0, 2};
  declip::vote_in_regions(at::full({1, 4}, 7, at::kInt), false, result, Call());
  CHECK(result.labels.eq(1).all().item<bool>());
  CHECK(result.counts == std::vector<int64_t>({0, 4, 0, 0}));
  CHECK(result.certainty.equal(
      at::tensor({0, 200, 200, 0}, at::kByte).view({1, 4})));
}

TEST(a_vote_refuses_regions_of_another_size_or_type) {
  Random random;
  auto result = random_result(random, 3, 4, 2);
  CHECK_THROWS_CODE(declip::vote_in_regions(
                        at::zeros({4, 3}, at::kInt), false, result, Call()),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::vote_in_regions(
                        at::zeros({3, 4}, at::kLong), false, result, Call()),
                    ErrorCode::kInvalidArg);
}

TEST(a_vote_is_that_of_the_authors_code) {
  const Golden golden("leading-methods");
  int64_t compared = 0;
  for (const auto& id : golden.ids()) {
    const auto& values = golden.at(id).find("values");
    if (values == nullptr || values->find("before_vote_png") == nullptr) {
      continue;
    }
    const tap::Case name(id);
    const auto picture = [&](const declip::Json& file) {
      const auto pixels = png::read(golden.path(*file.string()));
      return pixels.dim() == 3 ? pixels.select(2, 0) : pixels;
    };
    const auto regions =
        picture(*golden.at(id).find("inputs")->find("regions")).to(at::kInt);
    const auto expected = picture(*values->find("label_png"));
    Segmentation result;
    result.labels = picture(*values->find("before_vote_png")).contiguous();
    result.certainty = at::zeros_like(result.labels);
    result.counts.assign(256, 0);
    for (int64_t c = 0; c < 256; ++c) {
      result.counts[c] = result.labels.eq(c).sum().item<int64_t>();
    }
    declip::vote_in_regions(regions.contiguous(), true, result, Call());
    CHECK(result.labels.equal(expected));
    ++compared;
  }
  CHECK(compared > 0);
}

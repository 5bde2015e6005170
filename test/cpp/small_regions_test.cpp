#include "segment/small_regions.h"

#include <ATen/ATen.h>

#include <map>
#include <vector>

#include "golden.h"
#include "random_planes.h"
#include "tap.h"

namespace {

/// Numbers of 8-connected regions of pixels equal to `value` by filling, in the
/// order of their first 2 x 2 blocks; -1 elsewhere.
std::vector<int64_t> fill_regions(const at::Tensor& mask, uint8_t value) {
  const int64_t height = mask.size(0), width = mask.size(1);
  const auto at = mask.accessor<uint8_t, 2>();
  std::vector<int64_t> id(static_cast<size_t>(height * width), -1);
  int64_t count = 0;
  const auto fill = [&](int64_t y, int64_t x) {
    if (y >= height || x >= width || at[y][x] != value ||
        id[static_cast<size_t>(y * width + x)] >= 0)
      return;
    std::vector<std::pair<int64_t, int64_t>> open{{y, x}};
    id[static_cast<size_t>(y * width + x)] = count;
    while (!open.empty()) {
      const auto [b, a] = open.back();
      open.pop_back();
      for (int64_t v = std::max<int64_t>(b - 1, 0); v < std::min(b + 2, height);
           ++v) {
        for (int64_t u = std::max<int64_t>(a - 1, 0);
             u < std::min(a + 2, width);
             ++u) {
          auto& own = id[static_cast<size_t>(v * width + u)];
          if (at[v][u] != value || own >= 0) continue;
          own = count;
          open.push_back({v, u});
        }
      }
    }
    ++count;
  };
  for (int64_t y = 0; y < height; y += 2) {
    for (int64_t x = 0; x < width; x += 2) {
      for (const auto& [v, u] : {std::pair{0, 0}, {0, 1}, {1, 0}, {1, 1}})
        fill(y + v, x + u);
    }
  }
  return id;
}

/// Pixel by pixel, holes then islands.
std::pair<at::Tensor, bool> plain_clean(at::Tensor mask, int64_t area) {
  mask = mask.clone();
  bool changed = false;
  for (const uint8_t value : {0, 1}) {
    const auto id = fill_regions(mask, value);
    std::map<int64_t, int64_t> pixels;
    for (const auto region : id) {
      if (region >= 0) ++pixels[region];
    }
    int64_t small = 0, largest = -1;
    for (const auto& [region, count] : pixels) {
      if (count < area) ++small;
      if (largest < 0 || count > pixels[largest]) largest = region;
    }
    if (small == 0) continue;
    changed = true;
    const bool keeps_one =
        value == 1 && small == static_cast<int64_t>(pixels.size());
    auto* at = mask.mutable_data_ptr<uint8_t>();
    for (size_t i = 0; i < id.size(); ++i) {
      if (id[i] < 0 || pixels[id[i]] >= area) continue;
      if (keeps_one && id[i] == largest) continue;
      at[i] = static_cast<uint8_t>(1 - value);
    }
  }
  return {mask, changed};
}

}  // namespace

TEST(small_regions_are_those_of_pixels) {
  Random random;
  for (int round = 0; round < 120; ++round) {
    const int64_t height = random.integer(1, 24), width = random.integer(1, 24);
    const double share = random.real(0, 1);
    const auto mask =
        at::rand({height, width}).lt(share).to(at::kByte).contiguous();
    const int64_t area = random.integer(1, 12);
    const auto [wanted, changes] = plain_clean(mask, area);
    const auto [got, changed] =
        declip::without_small_regions(declip::encode_rle(mask), area);
    CHECK(changed == changes);
    CHECK(at::equal(declip::decode_rle(got), wanted));
  }
}

TEST(small_regions_of_masks_of_one_value) {
  const auto none = declip::encode_rle(at::zeros({5, 4}, at::kByte));
  CHECK(declip::without_small_regions(none, 10) == std::pair(none, false));
  const auto all = declip::encode_rle(at::ones({5, 4}, at::kByte));
  CHECK(declip::without_small_regions(all, 20) == std::pair(all, false));
  // Smaller than the area, but the only one: it stays, and counts as changed.
  CHECK(declip::without_small_regions(all, 21) == std::pair(all, true));
}

TEST(small_regions_are_the_authors) {
  const Golden golden("sam-decoder");
  const auto& one = golden.at("small-regions");
  const auto& values = *one.find("values");
  const auto before =
      png::read(golden.path(*one.find("inputs")->find("masks")->string()))
          .squeeze(2);
  const auto after =
      png::read(golden.path(*values.find("masks_png")->string())).squeeze(2);
  const int64_t area = *one.find("options")->find("min_area")->integer();
  const auto& masks = *values.find("masks")->array();
  for (size_t i = 0; i < masks.size(); ++i) {
    const auto bit = [&](const at::Tensor& all) {
      return all.bitwise_right_shift(static_cast<int64_t>(i))
          .bitwise_and(1)
          .to(at::kByte)
          .contiguous();
    };
    const auto [got, changed] =
        declip::without_small_regions(declip::encode_rle(bit(before)), area);
    CHECK(at::equal(declip::decode_rle(got), bit(after)));
    CHECK(changed == (*masks[i].find("holes_changed")->boolean() ||
                      *masks[i].find("islands_changed")->boolean()));
    CHECK(declip::rle_area(got) == *masks[i].find("area_after")->integer());
  }
}

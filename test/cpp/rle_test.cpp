#include "declip/rle.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>
#include <vector>

#include "tap.h"

using declip::ErrorCode;
using declip::Rle;

namespace {

/// A random label map of some classes, in blocks so that runs have a length.
at::Tensor random_blocks(int64_t height, int64_t width, int64_t classes) {
  const auto blocks = at::randint(classes, {height, width}, at::kByte);
  return blocks.repeat_interleave(3, 0)
      .repeat_interleave(2, 1)
      .slice(0, 0, height)
      .slice(1, 0, width)
      .contiguous();
}

/// Pixel by pixel down the columns.
std::vector<uint32_t> plain_counts(const at::Tensor& mask) {
  std::vector<uint32_t> counts{0};
  const auto at = mask.accessor<uint8_t, 2>();
  bool inside = false;
  for (int64_t x = 0; x < mask.size(1); ++x) {
    for (int64_t y = 0; y < mask.size(0); ++y) {
      if ((at[y][x] != 0) != inside) {
        inside = !inside;
        counts.push_back(0);
      }
      ++counts.back();
    }
  }
  return counts;
}

int64_t inside_count(const at::Tensor& mask) {
  return mask.ne(0).sum().item<int64_t>();
}

}  // namespace

TEST(masks_are_run_lengths_down_the_columns_and_back) {
  at::manual_seed(1);
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1},
                                      {7, 1},
                                      {1, 9},
                                      {31, 130},
                                      {64, 64}}) {
    const auto labels = random_blocks(height, width, 4);
    const auto all = declip::encode_rle(labels, 5, {});
    CHECK(all.size() == 5);
    for (int64_t c = 0; c < 5; ++c) {
      const auto mask = labels.eq(c).to(at::kByte);
      CHECK(all[c].counts == plain_counts(mask));
      CHECK(all[c] == declip::encode_rle(mask));
      CHECK(all[c] == declip::encode_rle(mask.to(at::kBool)));
      CHECK(declip::decode_rle(all[c]).equal(mask));
      CHECK(declip::rle_area(all[c]) == inside_count(mask));
    }
    CHECK(declip::encode_rle(labels.to(at::kUInt16), 5, {}) == all);
  }
}

TEST(labels_beyond_the_classes_are_in_no_mask) {
  const auto labels = at::tensor({0, 9, 1, 9}, at::kByte).view({2, 2});
  const auto masks = declip::encode_rle(labels, 2, {});
  CHECK((masks[0].counts == std::vector<uint32_t>{0, 1, 3}));
  CHECK((masks[1].counts == std::vector<uint32_t>{1, 1, 2}));
}

TEST(compressed_counts_are_what_pycocotools_writes) {
  // pycocotools 2.0.11, mask.frPyObjects() of uncompressed counts
  const std::vector<std::pair<std::vector<uint32_t>, std::string>> known{
      {{6}, "6"},
      {{0, 6}, "06"},
      {{0, 2, 1, 1, 2}, "021O1"},
      {{15, 16, 31, 32, 1, 1000, 3, 999999}, "?`0o0`0ROXn02gb_n0"},
      {{100000, 7, 1, 40, 523, 12, 523, 40, 1, 70000},
       "PeQ371Q1Z`0TO0l0f_OXZT2"}};
  for (const auto& [counts, text] : known) {
    CHECK(declip::compress_counts(counts) == text);
    int64_t sum = 0;
    for (const auto run : counts) sum += run;
    CHECK(declip::decompress_rle(text, {1, sum}).counts == counts);
  }
}

TEST(damaged_counts_are_refused) {
  const auto code = ErrorCode::kInvalidArg;
  for (const std::string text : {"", "5", "7", "06\x7f", "0P", " ", "0O"}) {
    CHECK_THROWS_CODE(declip::decompress_rle(text, {2, 3}), code);
  }
  CHECK_THROWS_CODE(declip::decompress_rle("PPPPPPPPPPPP0", {2, 3}), code);
  CHECK_THROWS_CODE(declip::decompress_rle("6", {0, 3}), code);
  CHECK_THROWS_CODE(declip::decode_rle({{2, 3}, {4}}), code);
  CHECK_THROWS_CODE(declip::encode_rle(at::zeros({2, 2})), code);
  CHECK_THROWS_CODE(declip::encode_rle(at::zeros({2, 2}), 2, {}), code);
  CHECK_THROWS_CODE(declip::encode_rle(at::zeros({2, 2}, at::kByte), 0, {}),
                    code);
}

TEST(boxes_touch_the_mask_on_all_sides) {
  at::manual_seed(2);
  for (int round = 0; round < 50; ++round) {
    const auto mask = at::rand({9, 12}).lt(0.06).to(at::kByte);
    std::array<int64_t, 4> expected{0, 0, 0, 0};
    if (inside_count(mask) > 0) {
      const auto where = mask.nonzero();  // (n, 2): y, x
      const auto low = where.amin(0), high = where.amax(0);
      const auto number = [](const at::Tensor& t, int64_t i) {
        return t[i].item<int64_t>();
      };
      expected = {number(low, 1),
                  number(low, 0),
                  number(high, 1) - number(low, 1) + 1,
                  number(high, 0) - number(low, 0) + 1};
    }
    CHECK(declip::rle_box(declip::encode_rle(mask)) == expected);
  }
}

TEST(masks_are_compared_and_joined_without_being_painted) {
  at::manual_seed(3);
  for (const double share : {0.0, 0.1, 0.5, 1.0}) {
    const auto a = random_blocks(20, 33, 2);
    const auto b = at::rand({20, 33}).lt(share).to(at::kByte);
    const auto c = random_blocks(20, 33, 2);
    const auto ra = declip::encode_rle(a), rb = declip::encode_rle(b),
               rc = declip::encode_rle(c);
    const double both = inside_count(a.mul(b)), any = inside_count(a.add(b));
    CHECK(declip::rle_overlap(ra, rb) == both);
    CHECK_CLOSE(declip::rle_iou(ra, rb), both / any, 1e-15);
    CHECK_CLOSE(declip::rle_iou(rb, ra, true),
                inside_count(b) == 0 ? 0 : both / inside_count(b),
                1e-15);
    CHECK(declip::rle_union({ra, rb, rc}) ==
          declip::encode_rle(a.add(b).add(c)));
    CHECK(declip::rle_intersection({ra, rb, rc}) ==
          declip::encode_rle(a.mul(b).mul(c)));
  }
  const auto one = declip::encode_rle(at::zeros({2, 3}, at::kByte));
  CHECK(declip::rle_iou(one, one) == 0);
  CHECK(declip::rle_union({one}) == one);
  const auto code = ErrorCode::kInvalidArg;
  CHECK_THROWS_CODE(declip::rle_union({}), code);
  CHECK_THROWS_CODE(declip::rle_overlap(
                        one, declip::encode_rle(at::zeros({3, 2}, at::kByte))),
                    code);
}

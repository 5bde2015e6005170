#include "declip/objects.h"

#include <ATen/ATen.h>

#include <cmath>

#include "declip/rle.h"
#include "segment/peaks.h"
#include "tap.h"

using declip::ErrorCode;
using declip::ObjectOptions;
using declip::Objects;

namespace {

/// Every other pixel, as on a chess board.
at::Tensor board(int64_t height, int64_t width) {
  const auto y = at::arange(height).unsqueeze(1);
  return (y + at::arange(width)).remainder(2).to(at::kByte);
}

Objects find(const at::Tensor& labels, const ObjectOptions& options) {
  return declip::find_objects(labels, 4, {}, options, {});
}

}  // namespace

TEST(objects_hold_every_pixel_once) {
  at::manual_seed(3);
  for (const bool corners : {false, true}) {
    const auto labels = at::randint(4, {37, 53}, at::kByte);
    ObjectOptions options;
    options.corners = corners;
    const auto found = find(labels, options);
    auto painted = at::full_like(labels, 255);
    size_t begin = 0;
    for (size_t k = 0; k < found.labels.size(); ++k) {
      const size_t end = found.run_ends[k];
      declip::Rle mask{{37, 53}, {}};
      mask.counts.assign(found.counts.begin() + begin,
                         found.counts.begin() + end);
      begin = end;
      const auto inside = declip::decode_rle(mask).to(at::kBool);
      CHECK(declip::rle_area(mask) == found.areas[k]);
      CHECK(painted.masked_select(inside).eq(255).all().item<bool>());
      painted.masked_fill_(inside, found.labels[k]);
      const auto box = declip::rle_box(mask);
      CHECK(box[0] == found.boxes[4 * k] && box[1] == found.boxes[4 * k + 1]);
      CHECK(box[0] + box[2] == found.boxes[4 * k + 2]);
      CHECK(box[1] + box[3] == found.boxes[4 * k + 3]);
    }
    CHECK(painted.equal(labels));
  }
}

TEST(a_chess_board_is_two_objects_by_corners_and_all_pixels_by_sides) {
  ObjectOptions options;
  CHECK(find(board(40, 30), options).labels.size() == 2);
  options.corners = false;
  const auto apart = find(board(40, 30), options);
  CHECK(apart.labels.size() == 1200);
  CHECK(apart.parts.polygon_ends.size() == 1200);
  CHECK(apart.joined.polygon_ends.empty());
  options.background = 0;
  options.limit = 5;
  CHECK(find(board(40, 30), options).labels.size() == 5);
  options.limit = 0;
  CHECK_THROWS_CODE(find(board(2000, 1002), options), ErrorCode::kInvalidArg);
  options.min_area = 2;
  CHECK(find(board(2000, 1002), options).labels.empty());
}

TEST(scores_are_means_of_squares_over_known_pixels) {
  const auto labels = at::tensor({1, 1, 1, 0, 2, 2}, at::kByte).view({1, 6});
  const auto certainty =
      at::tensor({255, 51, 0, 9, 0, 0}, at::kByte).view({1, 6});
  ObjectOptions options;
  options.background = 0;
  const auto found = declip::find_objects(labels, 3, certainty, options, {});
  CHECK(found.labels == (std::vector<int32_t>{1, 2}));
  CHECK_CLOSE(found.scores[0], (1 + 0.04) / 2, 1e-12);
  CHECK(found.scores[1] == 0);
  CHECK_THROWS_CODE(
      declip::find_objects(labels, 3, certainty.slice(1, 1), options, {}),
      ErrorCode::kInvalidArg);
}

TEST(peaks_are_apart_and_in_pixels_of_the_picture) {
  auto map = at::zeros({8, 10});
  map[2][3].fill_(5);
  map[2][4].fill_(4.5);  // beside it
  map[6][8].fill_(3);
  map[4][5].fill_(4);  // about 2.8 away from the first
  declip::PeakOptions options;
  options.min_distance = 0;
  const auto near = declip::find_peaks(map, {16, 30}, options);
  CHECK(near.size() >= 3);
  CHECK_CLOSE(near[0].x, 3.5 * 3, 1e-12);
  CHECK_CLOSE(near[0].y, 2.5 * 2, 1e-12);
  CHECK(near[0].score == 5 && near[1].score == 4 && near[2].score == 3);
  options.min_distance = 7.3;  // sqrt(6^2 + 4^2) = 7.2 to the second
  options.min_score = 0.5;
  const auto far = declip::find_peaks(map, {16, 30}, options);
  CHECK(far.size() == 2 && far[1].score == 3);
  options.limit = 1;
  CHECK(declip::find_peaks(map, {16, 30}, options).size() == 1);
  options.min_score = -1;
  CHECK(declip::find_peaks(at::zeros({4, 4}), {4, 4}, options).size() == 1);
  CHECK(declip::find_peaks(at::full({4, 4}, NAN), {4, 4}, options).empty());
}

// Which boxes a detector's losses are made of.

#include "train/detector_assign.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "random_planes.h"
#include "tap.h"
#include "train/detector_sample.h"

namespace {

/// Boxes on a coarse grid, so that some overlap equally well.
at::Tensor coarse_boxes(Random& random, int64_t count) {
  auto out = at::zeros({count, 4}, at::kFloat);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t axis = 0; axis < 2; ++axis) {
      const auto begin = random.integer(-2, 8);
      out[i][axis] = static_cast<float>(4 * begin);
      out[i][axis + 2] = static_cast<float>(4 * (begin + random.integer(1, 6)));
    }
  }
  return out;
}

/// The rules by tensors, in the order of mmdetection's own text.
std::vector<int64_t> slow_assign(const at::Tensor& boxes,
                                 const at::Tensor& truth,
                                 const declip::AssignRule& rule) {
  const int64_t n = boxes.size(0), count = truth.size(0);
  if (n == 0) return {};
  if (count == 0) return std::vector<int64_t>(static_cast<size_t>(n), 0);
  const auto a = truth.unsqueeze(1), b = boxes.unsqueeze(0);
  const auto low = at::maximum(a.slice(2, 0, 2), b.slice(2, 0, 2));
  const auto high = at::minimum(a.slice(2, 2, 4), b.slice(2, 2, 4));
  const auto both = (high - low).clamp_min(0).prod(2);
  const auto area = [](const at::Tensor& x) {
    return (x.slice(2, 2, 4) - x.slice(2, 0, 2)).prod(2);
  };
  const auto iou = both / (area(a) + area(b) - both).clamp_min(1e-6);
  const auto [best, which] = iou.max(0);
  const auto [of_truth, place] = iou.max(1);
  auto out = at::full({n}, -1, at::kLong);
  out.masked_fill_(best.lt(rule.negative), 0);
  out = at::where(best.ge(rule.positive), which + 1, out);
  for (int64_t g = 0; rule.low_quality && g < count; ++g) {
    if (of_truth[g].lt(rule.least).item<bool>()) continue;
    out.masked_fill_(iou[g].eq(of_truth[g]), g + 1);
  }
  const auto* data = out.const_data_ptr<int64_t>();
  return {data, data + n};
}

}  // namespace

TEST(boxes_are_assigned_as_by_tensors) {
  Random random;
  std::set<int64_t> seen;
  for (int i = 0; i < 60; ++i) {
    const auto truth = coarse_boxes(random, random.integer(0, 5));
    // Enough for several threads in some rounds.
    const auto boxes =
        coarse_boxes(random, i % 10 == 0 ? 5000 : random.integer(0, 60));
    declip::AssignRule rule;
    rule.positive = random.real(0.4, 0.8);
    rule.negative = random.real(0.1, rule.positive);
    rule.low_quality = random.coin();
    rule.least = random.real(0, 0.5);
    const auto got = declip::assign_boxes(boxes, truth, rule);
    CHECK(got == slow_assign(boxes, truth, rule));
    seen.insert(got.begin(), got.end());
  }
  CHECK(seen.contains(-1) && seen.contains(0) && seen.contains(1) &&
        seen.contains(5));
}

TEST(every_box_at_the_best_overlap_is_matched_and_the_last_true_box_wins) {
  const auto truth = at::tensor({0.0f,
                                 0.0f,
                                 10.0f,
                                 10.0f,  //
                                 2.0f,
                                 0.0f,
                                 12.0f,
                                 10.0f})
                         .view({2, 4});
  const auto box = at::tensor({1.0f, 0.0f, 11.0f, 10.0f}).view({1, 4});
  const auto boxes = at::cat({box, box});
  const declip::AssignRule rule{
      .positive = 0.9, .negative = 0.3, .low_quality = true, .least = 0.3};
  CHECK(declip::assign_boxes(boxes, truth, rule) ==
        (std::vector<int64_t>{2, 2}));
  auto strict = rule;
  strict.low_quality = false;
  CHECK(declip::assign_boxes(boxes, truth, strict) ==
        (std::vector<int64_t>{-1, -1}));
  strict.positive = 0.5;
  CHECK(declip::assign_boxes(boxes, truth, strict) ==
        (std::vector<int64_t>{1, 1}));
}

TEST(samples_are_of_their_kind_and_number) {
  Random random;
  for (int i = 0; i < 100; ++i) {
    std::vector<int64_t> assigned(static_cast<size_t>(random.integer(0, 80)));
    for (auto& one : assigned) one = random.integer(-1, 3);
    const int64_t count = random.integer(1, 60);
    const double share = random.real(0, 1);
    declip::SplitMix draws(static_cast<uint64_t>(i));
    const auto got = declip::sample_boxes(assigned, count, share, draws);
    const auto check =
        [&](const std::vector<int64_t>& rows, bool positive, int64_t limit) {
          CHECK(std::ranges::is_sorted(rows));
          CHECK(std::ranges::adjacent_find(rows) == rows.end());
          int64_t there = 0;
          for (const auto one : assigned)
            there += positive ? one > 0 : one == 0;
          CHECK(static_cast<int64_t>(rows.size()) == std::min(there, limit));
          for (const auto row : rows) {
            const auto one = assigned[static_cast<size_t>(row)];
            CHECK(positive ? one > 0 : one == 0);
          }
        };
    check(got.positive,
          true,
          static_cast<int64_t>(std::floor(static_cast<double>(count) * share)));
    check(
        got.negative, false, count - static_cast<int64_t>(got.positive.size()));
  }
}

TEST(samples_depend_on_the_seed_alone_and_leave_nothing_out) {
  const std::vector<int64_t> assigned(40, 0);
  std::vector<int> times(assigned.size(), 0);
  for (uint64_t seed = 0; seed < 200; ++seed) {
    declip::SplitMix a(seed), b(seed);
    const auto rows = declip::sample_boxes(assigned, 10, 0.5, a).negative;
    CHECK(rows == declip::sample_boxes(assigned, 10, 0.5, b).negative);
    for (const auto row : rows) ++times[static_cast<size_t>(row)];
  }
  // Each is expected 50 times; five deviations are 31.
  for (const int count : times) CHECK(count > 19 && count < 81);
}

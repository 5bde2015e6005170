#include "segment/labels.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "kernels/postprocess.h"
#include "random_planes.h"
#include "tap.h"

using declip::Call;
using declip::ErrorCode;
using declip::PostOptions;
using declip::Size;
using declip::WindowPlan;

namespace {

/// The whole chain as plain loops.
declip::reference::Labelled expected_labels(
    const at::Tensor& low,
    const WindowPlan& plan,
    const at::Tensor& image,
    const std::vector<int64_t>& word_class,
    const PostOptions& post,
    Size size) {
  std::vector<declip::reference::Planes> maps;
  for (int64_t n = 0; n < plan.size(); ++n) maps.push_back(to_planes(low[n]));
  auto planes = declip::reference::resize(
      declip::reference::blend_windows(maps, plan), size.height, size.width);
  if (post.pamr_iterations > 0) {
    const auto picture =
        declip::reference::resize(to_planes(image[0]), size.height, size.width);
    planes = declip::reference::pamr(
        picture, planes, post.pamr_iterations, post.pamr_dilations);
  }
  return declip::reference::postprocess(planes, word_class, post);
}

}  // namespace

TEST(matches_plain_loops_from_windows_to_labels) {
  Random random;
  for (int i = 0; i < 12; ++i) {
    const WindowPlan plan = declip::plan_windows(random.integer(8, 40),
                                                 random.integer(8, 40),
                                                 16,
                                                 random.integer(3, 16),
                                                 random.coin() ? 1 : 5);
    const auto low = random.tensor({plan.size(), 6, 4, 4});
    const auto image = random.tensor({1, 3, plan.height, plan.width});
    const Size size{random.integer(1, 60), random.integer(1, 60)};
    PostOptions post;
    post.pamr_iterations = random.integer(0, 3);
    post.pamr_dilations = {1, 4};
    post.logits = true;
    post.probabilities = true;
    post.word_threshold = random.coin() ? random.real(0, 1) : 0;
    post.background = random.integer(-1, 3);
    const std::vector<int64_t> word_class{0, 1, 1, 2, 3, 3};
    const auto expected =
        expected_labels(low, plan, image, word_class, post, size);
    const auto result = declip::labels_from_windows(
        low, plan, image, word_class, post, size, Call());
    CHECK_CLOSE(distance(result.logits, expected.logits), 0, 2e-5);
    CHECK_CLOSE(
        distance(result.probabilities, expected.probabilities), 0, 5e-4);
    CHECK(result.labels.sizes() == at::IntArrayRef({size.height, size.width}));
  }
}

TEST(planes_are_those_that_are_labelled) {
  Random random;
  const WindowPlan plan = declip::plan_windows(20, 30, 16, 8);
  const auto low = random.tensor({plan.size(), 3, 4, 4});
  PostOptions post;
  post.logits = true;
  const auto result = declip::labels_from_windows(
      low, plan, at::Tensor(), {0, 1, 2}, post, {25, 18}, Call());
  const auto planes = declip::planes_from_windows(low, plan, {25, 18}, Call());
  CHECK(planes.equal(result.logits));
  CHECK(planes.argmax(0).equal(result.labels.to(at::kLong)));
}

TEST(one_pass_over_the_whole_image_goes_straight_to_its_size) {
  Random random;
  const auto low = random.tensor({1, 2, 4, 6});
  const auto planes = declip::planes_from_windows(
      low, declip::plan_windows(30, 45, 0, 0), {77, 90}, Call());
  CHECK_CLOSE(
      distance(planes, declip::reference::resize(to_planes(low[0]), 77, 90)),
      0,
      2e-5);
}

TEST(bands_give_what_whole_planes_give) {
  Random random;
  for (int i = 0; i < 12; ++i) {
    const WindowPlan plan = declip::plan_windows(
        random.integer(8, 40), random.integer(8, 40), 16, 8);
    const bool many = i % 6 == 5;  // labels of 16 bits
    std::vector<int64_t> word_class;
    for (int64_t c = 0; c < (many ? 260 : 9); ++c) word_class.push_back(c);
    word_class.push_back(2);
    const auto words = static_cast<int64_t>(word_class.size());
    const auto low = random.tensor({plan.size(), words, 4, 4});
    // several bands, the last one shorter
    const int64_t most = many ? 110 : 250;
    const Size size{random.integer(100, most), random.integer(100, most)};
    PostOptions post;
    post.logit_scale = random.real(1, 30);
    post.prob_threshold = random.coin() ? random.real(0, 0.5) : 0;
    post.area_threshold =
        random.coin() ? random.real(0, many ? 0.006 : 0.25) : 0;
    post.closing = random.coin();
    post.word_threshold = random.coin() ? random.real(0, 1) : 0;
    post.background = random.integer(-1, 3);
    post.logits = random.coin();
    post.probabilities = random.coin();
    const auto planes = declip::planes_from_windows(low, plan, size, Call());
    declip::Postprocess whole(word_class, post, size.height, size.width);
    for (const int64_t word : whole.order()) whole.add(planes[word]);
    if (post.word_threshold > 0) {
      std::vector<bool> absent(word_class.size());
      for (int64_t q = 0; q < words; ++q) {
        absent[q] = whole.may_leave_out(q) &&
                    whole.largest_probability(planes[q]) <
                        static_cast<float>(post.word_threshold);
      }
      whole.leave_out(absent);
      whole.restart(size.height);
      for (const int64_t word : whole.order()) whole.add(planes[word]);
    }
    for (const int64_t word : whole.missing()) {
      whole.add_missing(word, planes[word]);
    }
    const auto expected = whole.finish();
    const auto got = declip::labels_from_windows(
        low, plan, at::Tensor(), word_class, post, size, Call());
    CHECK(got.labels.scalar_type() == expected.labels.scalar_type());
    CHECK(got.labels.to(at::kInt).equal(expected.labels.to(at::kInt)));
    CHECK(got.counts == expected.counts);
    CHECK(got.certainty.equal(expected.certainty));
    CHECK(got.logits.defined() == post.logits);
    CHECK(!post.logits || got.logits.equal(expected.logits));
    CHECK(!post.probabilities ||
          got.probabilities.equal(expected.probabilities));
  }
}

TEST(reports_its_way_and_stops_when_cancelled) {
  Random random;
  const WindowPlan plan = declip::plan_windows(20, 20, 16, 8);
  const auto low = random.tensor({plan.size(), 6, 4, 4});
  const auto image = random.tensor({1, 3, 20, 20});
  const std::vector<int64_t> word_class{0, 1, 2, 3, 4, 5};
  for (const int64_t iterations : {0, 1}) {
    PostOptions post;
    post.pamr_iterations = iterations;
    Call call;
    int64_t last = 0, of = 0;
    call.progress = [&](declip::Step step, int64_t done, int64_t total) {
      CHECK(step == declip::Step::kPixels);
      CHECK(done > last && (of == 0 || of == total));
      last = done;
      of = total;
    };
    const auto label = [&] {
      declip::labels_from_windows(
          low, plan, image, word_class, post, {700, 400}, call);
    };
    label();
    CHECK(of == (iterations > 0 ? 6 : 700) && last == of);
    call.cancelled = std::make_shared<std::atomic<bool>>(true);
    CHECK_THROWS_CODE(label(), ErrorCode::kAborted);
  }
}

TEST(words_without_a_class_are_refused) {
  const WindowPlan plan = declip::plan_windows(8, 8, 0, 0);
  CHECK_THROWS_CODE(
      declip::labels_from_windows(
          at::zeros({1, 2, 1, 1}), plan, at::Tensor(), {0}, {}, {8, 8}, Call()),
      ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::labels_from_windows(at::zeros({1, 1, 1, 1}),
                                                plan,
                                                at::Tensor(),
                                                {0},
                                                {},
                                                {int64_t{1} << 33, 8},
                                                Call()),
                    ErrorCode::kInvalidArg);
}

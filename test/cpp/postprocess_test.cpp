#include "kernels/postprocess.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "declip/error.h"
#include "files/safetensors.h"
#include "kernels/exp_math.h"
#include "random_planes.h"
#include "tap.h"

using declip::ErrorCode;
using declip::PostOptions;
using declip::Postprocess;
using declip::Segmentation;

namespace {

Segmentation run(const at::Tensor& logits,
                 const std::vector<int64_t>& word_class,
                 const PostOptions& options) {
  Postprocess postprocess(word_class, options, logits.size(1), logits.size(2));
  const auto add_all = [&] {
    for (const int64_t word : postprocess.order()) {
      postprocess.add(logits[word].contiguous());
    }
  };
  add_all();
  if (options.word_threshold > 0) {
    std::vector<bool> absent(word_class.size());
    for (size_t q = 0; q < absent.size(); ++q) {
      const auto word = static_cast<int64_t>(q);
      absent[q] = postprocess.may_leave_out(word) &&
                  postprocess.largest_probability(logits[word].contiguous()) <
                      static_cast<float>(options.word_threshold);
    }
    postprocess.leave_out(absent);
    postprocess.restart(logits.size(1));
    add_all();
  }
  for (const int64_t word : postprocess.missing()) {
    postprocess.add_missing(word, logits[word].contiguous());
  }
  return postprocess.finish();
}

std::vector<int64_t> labels_of(const Segmentation& result) {
  const auto labels = result.labels.to(at::kLong).contiguous();
  const int64_t* data = labels.const_data_ptr<int64_t>();
  return {data, data + labels.numel()};
}

/// One row of pixels per word.
at::Tensor row(std::initializer_list<std::initializer_list<float>> words) {
  std::vector<at::Tensor> planes;
  for (const auto& word : words) {
    planes.push_back(at::tensor(std::vector<float>(word)).unsqueeze(0));
  }
  return at::stack(planes);
}

PostOptions unit_scale() {
  PostOptions options;
  options.logit_scale = 1;
  return options;
}

/// The root of the label's probability in bytes, where it is known.
void check_certainty(const Segmentation& result,
                     const declip::reference::Labelled& expected,
                     const PostOptions& options) {
  const auto labels = labels_of(result);
  const auto pixels = static_cast<int64_t>(labels.size());
  const auto certainty = result.certainty.contiguous();
  const auto* bytes = certainty.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < pixels; ++i) {
    const double probability =
        expected.probabilities.data[labels[i] * pixels + i];
    if (bytes[i] == 0) {
      // Only closing, thresholds and filters give labels that are not known.
      CHECK(options.closing || options.prob_threshold > 0 ||
            options.area_threshold > 0 || options.word_threshold > 0);
      continue;
    }
    CHECK_CLOSE(bytes[i], std::max(1.0, 255 * std::sqrt(probability)), 0.51);
  }
}

}  // namespace

TEST(exp_is_exact_to_float_rounding) {
  for (double x = -90; x <= 0; x += 0.0037) {
    const auto value = static_cast<float>(x);
    const double expected = std::exp(static_cast<double>(value));
    CHECK_CLOSE(declip::exp_negative(value), expected, 2e-7 * expected + 2e-38);
  }
  CHECK(declip::exp_negative(0.0f) == 1.0f);
  CHECK(declip::exp_negative(-std::numeric_limits<float>::infinity()) == 0.0f);
}

TEST(matches_plain_loops_on_random_pictures) {
  Random random;
  for (int i = 0; i < 40; ++i) {
    const int64_t classes = random.integer(1, 12);
    std::vector<int64_t> word_class;
    for (int64_t c = 0; c < classes; ++c) word_class.push_back(c);
    for (int64_t extra = random.integer(0, 6); extra > 0; --extra) {
      word_class.insert(word_class.begin() + random.integer(0, classes),
                        random.integer(0, classes - 1));
    }
    const auto words = static_cast<int64_t>(word_class.size());
    const auto logits =
        random.tensor({words, random.integer(1, 40), random.integer(1, 40)});
    PostOptions options;
    options.logit_scale = random.real(0.5, 60);
    options.prob_threshold = random.coin() ? random.real(0, 0.9) : 0;
    options.area_threshold = random.coin() ? random.real(0, 0.5) : 0;
    options.word_threshold = random.coin() ? random.real(0, 1) : 0;
    options.closing = random.coin();
    options.background = random.integer(-1, classes - 1);
    options.logits = random.coin();
    options.probabilities = random.coin();
    const auto expected =
        declip::reference::postprocess(to_planes(logits), word_class, options);
    const Segmentation result = run(logits, word_class, options);

    const auto labels = labels_of(result);
    int64_t different = 0;
    std::vector<int64_t> counts(classes);
    for (size_t p = 0; p < labels.size(); ++p) {
      different += labels[p] != expected.labels[p];
      ++counts[labels[p]];
    }
    CHECK(different == 0);
    CHECK(result.counts == counts);
    check_certainty(result, expected, options);
    CHECK(result.logits.defined() == options.logits);
    CHECK(result.probabilities.defined() == options.probabilities);
    if (options.logits)
      CHECK_CLOSE(distance(result.logits, expected.logits), 0, 1e-7);
    if (options.probabilities) {
      CHECK_CLOSE(
          distance(result.probabilities, expected.probabilities), 0, 2e-5);
    }
  }
}

TEST(matches_the_published_probabilities) {
  const std::string folder = DECLIP_FIXTURES "/itaclip-pipeline/";
  const auto outputs =
      declip::read_safetensors(folder + "outputs.safetensors").tensors;
  PostOptions options;
  options.probabilities = true;
  options.logit_scale = 40;
  const auto result = run(outputs.at("no-background.logits")[0].clone(),
                          {0, 0, 1, 1, 1, 2, 3, 4, 4, 5, 6},
                          options);
  CHECK_CLOSE(distance(result.probabilities,
                       outputs.at("no-background.class_probabilities")),
              0,
              2.6e-4);

  // With an area filter, taken over the whole picture, only part of which is
  // stored: compare the classes that it kept.
  options.logit_scale = 60;
  const auto filtered = outputs.at("full.class_probabilities");
  const auto all = run(outputs.at("full.logits")[0].clone(),
                       {0, 0, 0,  0,  0,  0,  1,  2,  3,  4,  5,  6,  7,  8,
                        8, 9, 10, 11, 12, 13, 14, 14, 15, 16, 17, 18, 19, 20},
                       options);
  int64_t kept = 0;
  for (int64_t c = 0; c < 21; ++c) {
    if (filtered[c].max().item<float>() == 0) continue;
    ++kept;
    CHECK_CLOSE(distance(all.probabilities[c], filtered[c]), 0, 4e-4);
  }
  CHECK(kept == 4);
}

TEST(argmax_ignores_a_positive_scale) {
  Random random;
  const auto logits = random.tensor({5, 20, 20});
  PostOptions options;
  options.logit_scale = 0.01;
  const auto low = labels_of(run(logits, {0, 1, 2, 3, 4}, options));
  options.logit_scale = 1000;
  CHECK(low == labels_of(run(logits, {0, 1, 2, 3, 4}, options)));
}

TEST(equal_logits_give_the_first_class_whatever_the_order_of_words) {
  const auto logits = row({{1, 1}, {1, 1}, {0, 2}});
  CHECK((labels_of(run(logits, {1, 0, 2}, unit_scale())) ==
         std::vector<int64_t>{0, 2}));
}

TEST(synonyms_count_by_their_maximum_not_their_sum) {
  // Two words of class 1 with e^1 each lose against one with e^1.5.
  const auto logits = row({{1.5f}, {1}, {1}});
  CHECK(labels_of(run(logits, {0, 1, 1}, unit_scale()))[0] == 0);
}

TEST(uncertain_pixels_become_background) {
  const auto logits = row({{0, 0}, {0.1f, 9}, {0, 0}});
  PostOptions options = unit_scale();
  options.prob_threshold = 0.5;
  options.background = 2;
  CHECK((labels_of(run(logits, {0, 1, 2}, options)) ==
         std::vector<int64_t>{2, 1}));
  options.background = -1;
  CHECK((labels_of(run(logits, {0, 1, 2}, options)) ==
         std::vector<int64_t>{0, 1}));
}

TEST(a_pixel_at_the_threshold_keeps_its_class) {
  PostOptions options = unit_scale();
  options.prob_threshold = 0.5;
  options.background = 0;
  // One pixel of two equal words of class 1 and none of class 0: exactly 0.5.
  const auto logits = row({{-200}, {3}, {3}});
  CHECK(labels_of(run(logits, {0, 1, 1}, options))[0] == 1);
}

TEST(small_foreground_classes_give_way_to_the_next_best) {
  // Pixels: 1 1 1 2 0; class 2 holds a quarter of the foreground.
  const auto logits = row({{0, 0, 0, 1, 9}, {5, 5, 5, 0, 0}, {0, 0, 0, 5, 0}});
  PostOptions options = unit_scale();
  options.background = 0;
  options.area_threshold = 0.25;  // must be exceeded
  CHECK((labels_of(run(logits, {0, 1, 2}, options)) ==
         std::vector<int64_t>{1, 1, 1, 0, 0}));
  options.area_threshold = 0.24;
  CHECK((labels_of(run(logits, {0, 1, 2}, options)) ==
         std::vector<int64_t>{1, 1, 1, 2, 0}));
  // Without a background class 0 is foreground like the others: a fifth.
  options.background = -1;
  options.area_threshold = 0.21;
  CHECK((labels_of(run(logits, {0, 1, 2}, options)) ==
         std::vector<int64_t>{1, 1, 1, 1, 1}));
}

TEST(pixels_whose_best_classes_are_all_removed_get_the_best_that_is_kept) {
  // Class 0 covers most of the picture; each of six others one pixel, where it
  // is followed by the rest of the six, so that none of its ranks is kept.
  const int64_t pixels = 40;
  auto logits = at::zeros({8, 1, pixels});
  for (int64_t c = 0; c < 6; ++c) {
    logits[1 + c].fill_(-1);
    for (int64_t other = 0; other < 6; ++other) {
      logits[1 + c][0][other] = 5 + (c == other ? 1.0 : 0.1 * (c + 1.0));
    }
  }
  logits[7].fill_(-9);
  for (int64_t i = 0; i < 6; ++i) logits[7][0][i] = 0.5;  // the runner-up
  logits[7].slice(1, 6, 20).fill_(1);                     // and kept
  PostOptions options = unit_scale();
  options.area_threshold = 0.2;
  Postprocess postprocess({0, 1, 2, 3, 4, 5, 6, 7}, options, 1, pixels);
  for (const int64_t word : postprocess.order()) {
    postprocess.add(logits[word].contiguous());
  }
  CHECK((postprocess.missing() == std::vector<int64_t>{0, 7}));
  const auto labels = labels_of(run(logits, {0, 1, 2, 3, 4, 5, 6, 7}, options));
  for (int64_t i = 0; i < pixels; ++i) CHECK(labels[i] == (i < 20 ? 7 : 0));
}

TEST(an_area_filter_that_removes_everything_leaves_class_0) {
  const auto logits = row({{0, 1, 0}, {1, 0, 0}, {0, 0, 1}});
  PostOptions options = unit_scale();
  options.area_threshold = 0.5;
  CHECK((labels_of(run(logits, {0, 1, 2}, options)) ==
         std::vector<int64_t>{0, 0, 0}));
}

TEST(memory_of_an_area_filter_does_not_grow_with_the_classes) {
  const auto bytes = [](int64_t classes) {
    std::vector<int64_t> word_class(classes);
    std::iota(word_class.begin(), word_class.end(), int64_t{0});
    PostOptions options;
    options.area_threshold = 0.1;
    return Postprocess(word_class, options, 50, 60).bytes();
  };
  CHECK(bytes(300) == bytes(2));
}

TEST(closing_fills_gaps_with_the_larger_number) {
  // A hole of class 0 in class 1, and class 2 growing into neither.
  const auto logits = row({{0, 0, 9, 0, 0}, {9, 9, 0, 9, 9}});
  PostOptions options = unit_scale();
  options.closing = true;
  CHECK((labels_of(run(logits, {0, 1}, options)) ==
         std::vector<int64_t>{1, 1, 1, 1, 1}));
}

TEST(many_classes_need_16_bits) {
  std::vector<int64_t> word_class(257);
  for (int64_t c = 0; c < 257; ++c) word_class[c] = c;
  auto logits = at::zeros({257, 2, 2});
  logits[256].fill_(1);
  const auto result = run(logits, word_class, unit_scale());
  CHECK(result.labels.scalar_type() == at::kUInt16);
  CHECK(result.counts[256] == 4);
  word_class.pop_back();
  CHECK(run(logits.narrow(0, 0, 256), word_class, unit_scale())
            .labels.scalar_type() == at::kByte);
}

TEST(wrong_options_are_refused) {
  const auto attempt = [](std::vector<int64_t> word_class,
                          PostOptions options) {
    return Postprocess(word_class, options, 2, 2);
  };
  CHECK_THROWS_CODE(attempt({}, {}), ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(attempt({0, 2}, {}), ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(attempt({0, -1}, {}), ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(attempt({0, 65536}, {}), ErrorCode::kInvalidArg);
  PostOptions options;
  options.logit_scale = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_CODE(attempt({0}, options), ErrorCode::kInvalidArg);
  options = {};
  options.prob_threshold = 1.5;
  CHECK_THROWS_CODE(attempt({0}, options), ErrorCode::kInvalidArg);
  options = {};
  options.area_threshold = -0.1;
  CHECK_THROWS_CODE(attempt({0}, options), ErrorCode::kInvalidArg);
  options = {};
  options.background = 1;
  CHECK_THROWS_CODE(attempt({0}, options), ErrorCode::kInvalidArg);
}

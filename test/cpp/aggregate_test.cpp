#include "segment/aggregate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <vector>

#include "declip/error.h"
#include "declip/model.h"
#include "declip/resize.h"
#include "golden.h"
#include "random_planes.h"
#include "segment/labels.h"
#include "tap.h"

using declip::Call;
using declip::EncodeOptions;
using declip::ErrorCode;
using declip::Size;
using declip::WindowPlan;

namespace {

EncodeOptions aggregating(int64_t window, int64_t stride, double gain = 10) {
  EncodeOptions options;
  options.window = window;
  options.stride = stride;
  options.aggregate_gain = gain;
  return options;
}

double number_of(const declip::Json& options, const char* name) {
  return *options.find(name)->number();
}

Size size_of(const declip::Json& options, const char* name) {
  const auto& sides = *options.find(name)->array();
  return {static_cast<int64_t>(*sides[0].number()),
          static_cast<int64_t>(*sides[1].number())};
}

EncodeOptions options_of(const declip::Json& options) {
  return aggregating(static_cast<int64_t>(number_of(options, "crop")),
                     static_cast<int64_t>(number_of(options, "stride")),
                     number_of(options, "gain"));
}

}  // namespace

TEST(an_aggregated_picture_has_sides_of_whole_steps) {
  const auto size = [](Size picture, int64_t window, int64_t stride) {
    return declip::aggregate_size(picture, aggregating(window, stride));
  };
  CHECK((size({336, 505}, 224, 112) == Size{448, 560}));
  CHECK((size({336, 448}, 224, 112) == Size{336, 448}));
  CHECK((size({336, 448}, 224, 224) == Size{448, 448}));
  CHECK((size({100, 150}, 336, 224) == Size{336, 336}));
  CHECK((size({505, 336}, 224, 112) == Size{560, 448}));
  CHECK((size({33, 57}, 0, 112) == Size{33, 57}));
  const Size untouched =
      declip::aggregate_size({33, 57}, aggregating(24, 8, 0));
  CHECK((untouched == Size{33, 57}));
}

TEST(windows_are_joined_by_their_mean) {
  Random random;
  for (int round = 0; round < 10; ++round) {
    const int64_t cell = random.integer(1, 4);
    const int64_t stride = cell * random.integer(1, 5);
    const int64_t window = stride + cell * random.integer(0, 4);
    const auto options = aggregating(window, stride);
    const Size size = declip::aggregate_size(
        {random.integer(1, 90), random.integer(1, 90)}, options);
    const WindowPlan plan =
        declip::plan_windows(size.height, size.width, window, stride);
    declip::check_cells(plan, options, cell);
    const int64_t side = window / cell;
    const auto maps = random.tensor({plan.size(), 3, side, side});
    const auto joined = declip::join_windows(maps, plan);
    CHECK(joined.sizes() ==
          at::IntArrayRef({3, size.height / cell, size.width / cell}));
    const auto got = joined.accessor<float, 3>();
    const auto given = maps.accessor<float, 4>();
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t y = 0; y < joined.size(1); ++y) {
        for (int64_t x = 0; x < joined.size(2); ++x) {
          double sum = 0;
          int count = 0;
          for (int64_t n = 0; n < plan.size(); ++n) {
            const int64_t v = y - plan[n].y1 / cell, u = x - plan[n].x1 / cell;
            if (v < 0 || u < 0 || v >= side || u >= side) continue;
            sum += given[n][c][v][u];
            ++count;
          }
          CHECK(count > 0);
          CHECK_CLOSE(got[c][y][x], sum / count, 1e-6);
        }
      }
    }
  }
}

TEST(windows_that_share_no_grid_are_refused) {
  const auto check = [](int64_t window, int64_t stride, int64_t pad_to = 1) {
    auto options = aggregating(window, stride);
    options.pad_to = pad_to;
    const Size size = declip::aggregate_size({224, 300}, options);
    declip::check_cells(
        declip::plan_windows(size.height, size.width, window, stride, pad_to),
        options,
        16);
  };
  check(224, 112);
  check(96, 32, 48);
  CHECK_THROWS_CODE(check(224, 28), ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(check(100, 16), ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(check(224, 112, 56 * 3), ErrorCode::kInvalidArg);
  auto options = aggregating(60, 60);
  WindowPlan plan = declip::plan_windows(60, 120, 60, 60);
  // 60 pixels are no 7 cells
  CHECK_THROWS_CODE(declip::aggregate_windows(
                        at::ones({2, 4, 7, 7}, at::kFloat), plan, options, {}),
                    ErrorCode::kInvalidArg);
}

TEST(features_of_another_grid_are_joined_on_it) {
  Random random;
  // As ProxyCLIP's: cells of 8 pixels, whatever the tower's patches are.
  const auto options = aggregating(48, 24);
  WindowPlan plan = declip::plan_windows(48, 72, 48, 24);
  const auto maps = random.tensor({plan.size(), 5, 6, 6});
  const auto out = declip::aggregate_windows(maps, plan, options, {});
  CHECK(out.sizes() == at::IntArrayRef({1, 5, 6, 9}));
  CHECK(plan.whole && plan.size() == 1);
  CHECK_CLOSE(distance(out.norm(2, {1}), at::ones({1, 6, 9})), 0, 1e-6);
}

TEST(aggregation_of_a_small_map_is_the_authors) {
  const Golden golden("leading-methods");
  const auto& one = golden.at("selfsim-small");
  const auto features = golden.tensor(*one.find("inputs")->find("features"));
  golden.compare("selfsim-small",
                 "aggregated",
                 declip::aggregate_map(
                     features[0], number_of(*one.find("options"), "gain"), {}));
}

TEST(aggregation_over_windows_is_the_authors_up_to_the_labels) {
  const Golden golden("leading-methods");
  const char* id = "selfsim-windows";
  const auto& one = golden.at(id);
  const auto& given = *one.find("options");
  const auto options = options_of(given);
  const auto from_authors =
      golden.tensor(*one.find("inputs")->find("window_features"));
  const auto text = golden.tensor(*one.find("inputs")->find("text_features"));
  declip::LoadOptions load;
  const auto& config = *one.find("config");
  load.overrides.head_width = static_cast<int64_t>(
      number_of(config, "vision_width") / number_of(config, "vision_heads"));
  load.overrides.activation = declip::Activation::kQuickGelu;
  const auto model = declip::Model::load(
      golden.path(*one.find("weights")->string()), load, {});

  const auto& picture = *one.find("inputs")->find("image");
  const auto statistics = [&](const char* name) {
    const auto& found = *picture.find("normalise")->find(name)->array();
    return std::array<double, 3>{
        *found[0].number(), *found[1].number(), *found[2].number()};
  };
  const auto pixels = png::read(golden.path(*picture.find("png")->string()));
  const auto image = declip::resize_to_aggregate(
      declip::normalize_mmcv(pixels, statistics("mean"), statistics("std")),
      options);
  const Size size{image.size(2), image.size(3)};
  CHECK(size == size_of(given, "padded_size"));
  const auto plan = declip::plan_windows(
      size.height, size.width, options.window, options.stride);
  declip::DenseOptions dense;
  dense.positions = declip::Positions::kScaleFactor;
  const auto own = model->encode_dense(
      declip::cut_windows(image, plan, 0, plan.size()), dense, false, {});

  for (const auto& features : {from_authors, own}) {
    CHECK(features.sizes() == from_authors.sizes());
    const auto joined = declip::join_windows(features, plan);
    golden.compare(id, "joined", joined);
    const auto aggregated =
        declip::aggregate_map(joined, options.aggregate_gain, {});
    golden.compare(id, "aggregated", aggregated);

    // Scored as the authors do, on the patch grid; probabilities are resized.
    const auto unit = [](const at::Tensor& x, int64_t dim) {
      return x / x.norm(2, {dim}, true);
    };
    const auto flat = unit(aggregated.flatten(1), 0);
    const auto patches =
        (number_of(given, "text_gain") * at::matmul(unit(text, 1), flat))
            .softmax(0)
            .view({1, -1, joined.size(1), joined.size(2)});
    golden.compare(id, "patch_probabilities", patches);
    auto whole = declip::plan_windows(size.height, size.width, 0, 1);
    const Size original = size_of(given, "original_size");
    auto probabilities =
        declip::planes_from_windows(patches.contiguous(), whole, original, {});
    const auto maxima = probabilities.amax({1, 2});
    golden.compare(id, "word_maxima_before_denoising", maxima);
    const auto kept = maxima.ge(number_of(given, "denoise_threshold"));
    probabilities = probabilities * kept.view({-1, 1, 1});
    const auto every = static_cast<int64_t>(number_of(given, "stored_every"));
    golden.compare(id,
                   "probabilities",
                   probabilities.slice(1, 0, {}, every).slice(2, 0, {}, every));
    const auto labels = probabilities.argmax(0);
    const auto& values = *one.find("values");
    const auto expected =
        png::read(golden.path(*values.find("label_png")->string()));
    const double same = labels.eq(expected.view_as(labels))
                            .to(at::kDouble)
                            .mean()
                            .item<double>();
    CHECK(same >= number_of(values, "label_min_agreement"));
  }
}

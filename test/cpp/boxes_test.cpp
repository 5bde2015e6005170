#include "detect/boxes.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "golden.h"
#include "random_planes.h"
#include "tap.h"

using declip::Size;

namespace {

/// float32 [n, 4], some of them without area or outside of a picture.
at::Tensor random_boxes(Random& random, int64_t n, double side) {
  const auto low = side * random.tensor({n, 2});
  const auto sides = side * random.tensor({n, 2}).clamp_min(0);
  return at::cat({low, low + sides}, 1);
}

}  // namespace

TEST(anchors_are_the_authors) {
  const Golden golden("fvit");
  for (const std::string name : {"coco", "lvis"}) {
    const auto id = name + ".rpn";
    const auto& one = golden.at(id);
    const auto& strides = *one.find("config")->find("rpn_strides")->array();
    int compared = 0;
    for (size_t level = 0; level < strides.size(); ++level) {
      const auto key = "anchors." + std::to_string(level);
      if (one.find("outputs")->find(key) == nullptr) continue;
      const auto map = golden.tensor(
          *one.find("outputs")->find("cls." + std::to_string(level)));
      golden.compare(id,
                     key,
                     declip::make_anchors(
                         map.size(2), map.size(3), *strides[level].number()));
      ++compared;
    }
    CHECK(compared > 2);
  }
}

TEST(anchors_have_the_ratios_and_the_area_of_eight_strides) {
  const auto anchors = declip::make_anchors(2, 3, 3.5);
  CHECK(anchors.sizes() == at::IntArrayRef({18, 4}));
  for (int64_t i = 0; i < anchors.size(0); ++i) {
    const auto one = anchors[i].to(at::kDouble);
    const double* at = one.const_data_ptr<double>();
    const double w = at[2] - at[0], h = at[3] - at[1];
    const double ratios[3] = {0.5, 1, 2};
    CHECK_CLOSE(h / w, ratios[i % 3], 1e-5);
    CHECK_CLOSE(w * h, 28 * 28, 1e-3);
    CHECK_CLOSE((at[0] + at[2]) / 2, 3.5 * (i / 3 % 3), 1e-5);
    CHECK_CLOSE((at[1] + at[3]) / 2, 3.5 * (i / 9), 1e-5);
  }
}

TEST(boxes_are_decoded_as_the_formula_says) {
  Random random;
  const Size picture{70, 90};
  for (int round = 0; round < 20; ++round) {
    const int64_t n = random.integer(0, 12);
    const auto boxes = random_boxes(random, n, 60);
    const auto deltas = 6 * random.tensor({n, 4});
    const auto& deviations =
        random.coin() ? declip::kRpnDeviations : declip::kBoxDeviations;
    const auto got = declip::decode_boxes(boxes, deltas, deviations, picture);
    CHECK(got.sizes() == at::IntArrayRef({n, 4}));
    for (int64_t i = 0; i < n; ++i) {
      for (int axis = 0; axis < 2; ++axis) {
        const double low = boxes[i][axis].item<double>();
        const double high = boxes[i][axis + 2].item<double>();
        const double limit = axis == 0 ? 90 : 70;
        const auto k = static_cast<size_t>(axis);
        const double most = std::log(1000.0 / 16);
        const double centre =
            (low + high) / 2 +
            (high - low) * deltas[i][axis].item<double>() * deviations[k];
        const double half =
            (high - low) / 2 *
            std::exp(std::clamp(
                deltas[i][axis + 2].item<double>() * deviations[k + 2],
                -most,
                most));
        CHECK_CLOSE(got[i][axis].item<double>(),
                    std::clamp(centre - half, 0.0, limit),
                    2e-3);
        CHECK_CLOSE(got[i][axis + 2].item<double>(),
                    std::clamp(centre + half, 0.0, limit),
                    2e-3);
      }
    }
  }
}

TEST(what_is_encoded_is_decoded_again) {
  Random random;
  const auto low = 20 * random.tensor({40, 2}).abs();
  const auto boxes =
      at::cat({low, low + 3 + 20 * random.tensor({40, 2}).abs()}, 1);
  const auto targets = boxes.roll(1, 0);
  for (const auto& deviations :
       {declip::kRpnDeviations, declip::kBoxDeviations}) {
    const auto deltas = declip::encode_boxes(boxes, targets, deviations);
    CHECK_CLOSE(
        distance(declip::decode_boxes(boxes, deltas, deviations, {100, 100}),
                 targets),
        0,
        1e-4);
  }
}

TEST(a_nan_delta_gives_a_nan_box) {
  const auto deltas = at::full({1, 4}, std::nan(""), at::kFloat);
  const auto boxes = at::tensor({1.f, 1.f, 5.f, 5.f}).view({1, 4});
  CHECK(declip::decode_boxes(boxes, deltas, declip::kRpnDeviations, {10, 10})
            .isnan()
            .all()
            .item<bool>());
}

TEST(detections_decode_the_authors_boxes) {
  const Golden golden("fvit");
  for (const std::string id : {"coco.detections", "lvis.detections"}) {
    const auto& one = golden.at(id);
    const auto& inputs = *one.find("inputs");
    const auto& options = *one.find("options");
    const auto& shape = *options.find("img_shape")->array();
    std::vector<double> scale;
    for (const auto& factor : *options.find("scale_factor")->array())
      scale.push_back(*factor.number());
    const Size input{static_cast<int64_t>(*shape[0].number()),
                     static_cast<int64_t>(*shape[1].number())};
    const auto boxes =
        declip::decode_boxes(
            golden.tensor(*inputs.find("proposals")).slice(1, 0, 4),
            golden.tensor(*inputs.find("deltas")),
            declip::kBoxDeviations,
            input) /
        at::tensor(scale, at::kFloat);
    golden.compare(id, "boxes", boxes);
    const auto kept = declip::choose_objects(
        boxes,
        golden.tensor(*inputs.find("scores")),
        *options.find("score_threshold")->number(),
        *options.find("nms_iou")->number(),
        static_cast<int64_t>(*options.find("keep")->number()));
    golden.compare(id, "labels", kept.labels);
    golden.compare(id, "kept_proposal", kept.rows);
    golden.compare(
        id, "detections", at::cat({kept.boxes, kept.scores.unsqueeze(1)}, 1));
  }
}

TEST(objects_are_chosen_as_the_rule_says) {
  Random random;
  for (int round = 0; round < 30; ++round) {
    const int64_t n = random.integer(0, 30), classes = random.integer(1, 6);
    const auto low = 20 * random.tensor({n, 2}).abs();
    const auto boxes =
        at::cat({low, low + 12 * random.tensor({n, 2}).abs()}, 1);
    auto scores = random.tensor({n, classes + 1});
    if (random.coin()) scores = (5 * scores).round() / 5;  // ties
    if (n > 3) scores[2].fill_(std::nan(""));
    const double threshold = random.real(-0.2, 0.8);
    const double overlap = random.real(0.1, 0.9);
    const int64_t limit = random.integer(1, 40);
    const auto got =
        declip::choose_objects(boxes, scores, threshold, overlap, limit);

    struct Entry {
      int64_t row, label;
      float score;
    };
    std::vector<Entry> entries, kept;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t k = 0; k < classes; ++k) {
        const float score = scores[i][k].item<float>();
        if (score > static_cast<float>(threshold))
          entries.push_back({i, k, score});
      }
    }
    std::stable_sort(
        entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
          return a.score > b.score;
        });
    const auto iou = [&](int64_t a, int64_t b) {
      const auto x = boxes[a].to(at::kDouble), y = boxes[b].to(at::kDouble);
      const auto side = [&](int k) {
        return std::max(
            0.0,
            std::min(x[k + 2].item<double>(), y[k + 2].item<double>()) -
                std::max(x[k].item<double>(), y[k].item<double>()));
      };
      const auto area = [](const at::Tensor& t) {
        return ((t[2] - t[0]) * (t[3] - t[1])).item<double>();
      };
      const double both = side(0) * side(1);
      return both / (area(x) + area(y) - both);
    };
    for (const auto& entry : entries) {
      bool stays = true;
      for (const auto& other : kept) {
        if (other.label == entry.label && iou(other.row, entry.row) > overlap)
          stays = false;
      }
      if (stays) kept.push_back(entry);
    }
    if (static_cast<int64_t>(kept.size()) > limit)
      kept.resize(static_cast<size_t>(limit));
    CHECK(got.rows.size(0) == static_cast<int64_t>(kept.size()));
    if (got.rows.size(0) != static_cast<int64_t>(kept.size())) continue;
    for (size_t i = 0; i < kept.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      CHECK(got.rows[at].item<int64_t>() == kept[i].row);
      CHECK(got.labels[at].item<int64_t>() == kept[i].label);
      CHECK(got.scores[at].item<float>() == kept[i].score);
      CHECK(at::equal(got.boxes[at], boxes[kept[i].row]));
    }
  }
}

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "detect/boxes.h"
#include "golden.h"
#include "random_planes.h"
#include "tap.h"

using declip::Size;

namespace {

struct Levels {
  std::vector<at::Tensor> logits, deltas;
  std::vector<double> strides;
};

}  // namespace

TEST(proposals_are_the_authors) {
  const Golden golden("fvit");
  for (const auto& id : golden.ids()) {
    if (id.find(".proposals") == std::string::npos) continue;
    const auto& one = golden.at(id);
    const auto& options = *one.find("options");
    const auto number = [&](const char* name) {
      return *options.find(name)->number();
    };
    Levels levels;
    for (const auto& stride :
         *one.find("config")->find("rpn_strides")->array()) {
      const auto level = std::to_string(levels.strides.size());
      const auto map = [&](const std::string& name) {
        return golden.tensor(*one.find("inputs")->find(name + level))
            .contiguous(at::MemoryFormat::ChannelsLast)[0];
      };
      levels.logits.push_back(map("cls."));
      levels.deltas.push_back(map("reg."));
      levels.strides.push_back(*stride.number());
    }
    const auto& shape = *options.find("img_shape")->array();
    const auto got = declip::propose(levels.logits,
                                     levels.deltas,
                                     levels.strides,
                                     {static_cast<int64_t>(*shape[0].number()),
                                      static_cast<int64_t>(*shape[1].number())},
                                     {static_cast<int64_t>(number("per_level")),
                                      static_cast<int64_t>(number("keep")),
                                      number("nms_iou")});
    golden.compare(
        id, "proposals", at::cat({got.boxes, got.scores.unsqueeze(1)}, 1));
    golden.compare(id, "levels", got.levels);
  }
}

TEST(proposals_are_those_of_loops_over_every_anchor) {
  Random random;
  for (int round = 0; round < 20; ++round) {
    Levels levels;
    const int64_t count = random.integer(1, 4);
    for (int64_t level = 0; level < count; ++level) {
      const int64_t h = random.integer(1, 6), w = random.integer(1, 7);
      auto logits = 4 * random.tensor({1, 3, h, w});
      if (random.coin()) logits = logits.round();  // ties
      levels.logits.push_back(
          logits.contiguous(at::MemoryFormat::ChannelsLast)[0]);
      levels.deltas.push_back(2 * random.tensor({12, h, w}));
      levels.strides.push_back(3.5 * static_cast<double>(1 << level));
    }
    const Size picture{random.integer(4, 50), random.integer(4, 50)};
    const declip::ProposalLimits limits{
        random.integer(1, 60), random.integer(1, 40), random.real(0.2, 0.9)};
    const auto got = declip::propose(
        levels.logits, levels.deltas, levels.strides, picture, limits);

    struct Candidate {
      double box[4];
      float score;
      int64_t level;
    };
    std::vector<Candidate> all, kept;
    for (size_t l = 0; l < levels.strides.size(); ++l) {
      const auto& logits = levels.logits[l];
      const double s = levels.strides[l];
      std::vector<Candidate> some;
      for (int64_t y = 0; y < logits.size(1); ++y) {
        for (int64_t x = 0; x < logits.size(2); ++x) {
          for (int64_t a = 0; a < 3; ++a) {
            const double ratio = std::vector<double>{0.5, 1, 2}[size_t(a)];
            const double side[2] = {8 * s / std::sqrt(ratio),
                                    8 * s * std::sqrt(ratio)};
            const double centre[2] = {static_cast<double>(x) * s,
                                      static_cast<double>(y) * s};
            const double end[2] = {static_cast<double>(picture.width),
                                   static_cast<double>(picture.height)};
            Candidate one;
            one.score = at::sigmoid(logits[a][y][x]).item<float>();
            one.level = static_cast<int64_t>(l);
            for (int64_t k = 0; k < 2; ++k) {
              const auto delta = [&](int64_t c) {
                return levels.deltas[l][4 * a + c][y][x].item<double>();
              };
              const double c = centre[k] + side[k] * delta(k);
              const double half =
                  side[k] / 2 * std::exp(std::min(delta(k + 2), 4.135));
              one.box[k] = std::clamp(c - half, 0.0, end[k]);
              one.box[k + 2] = std::clamp(c + half, 0.0, end[k]);
            }
            some.push_back(one);
          }
        }
      }
      if (static_cast<int64_t>(some.size()) > limits.per_level) {
        std::stable_sort(
            some.begin(), some.end(), [](const auto& a, const auto& b) {
              return a.score > b.score;
            });
        some.resize(static_cast<size_t>(limits.per_level));
      }
      all.insert(all.end(), some.begin(), some.end());
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return a.score > b.score;
    });
    for (const auto& one : all) {
      if (!(one.box[2] > one.box[0] && one.box[3] > one.box[1])) continue;
      bool stays = true;
      for (const auto& other : kept) {
        if (other.level != one.level) continue;
        double both = 1;
        for (int k = 0; k < 2; ++k) {
          both *= std::max(0.0,
                           std::min(one.box[k + 2], other.box[k + 2]) -
                               std::max(one.box[k], other.box[k]));
        }
        const auto area = [](const Candidate& c) {
          return (c.box[2] - c.box[0]) * (c.box[3] - c.box[1]);
        };
        if (both / (area(one) + area(other) - both) > limits.nms) stays = false;
      }
      if (stays) kept.push_back(one);
      if (static_cast<int64_t>(kept.size()) == limits.keep) break;
    }
    CHECK(got.boxes.size(0) == static_cast<int64_t>(kept.size()));
    if (got.boxes.size(0) != static_cast<int64_t>(kept.size())) continue;
    for (size_t i = 0; i < kept.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      CHECK(got.levels[at].item<int64_t>() == kept[i].level);
      CHECK(got.scores[at].item<float>() == kept[i].score);
      for (int64_t k = 0; k < 4; ++k)
        CHECK_CLOSE(got.boxes[at][k].item<double>(), kept[i].box[k], 1e-3);
    }
  }
}

TEST(proposals_of_nan_are_none) {
  const auto nan = at::full({12, 3, 2}, std::nan(""), at::kFloat);
  const auto logits = at::zeros({3, 3, 2});
  CHECK(declip::propose({logits}, {nan}, {4}, {20, 20}, {}).boxes.size(0) == 0);
  CHECK(declip::propose(
            {nan.slice(0, 0, 3)}, {at::zeros({12, 3, 2})}, {4}, {20, 20}, {})
            .boxes.size(0) == 0);
}

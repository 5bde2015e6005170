#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "declip/error.h"
#include "detect/boxes.h"
#include "golden.h"
#include "random_planes.h"
#include "tap.h"

namespace {

at::Tensor unit_rows(const at::Tensor& x) { return x / x.norm(2, {1}, true); }

}  // namespace

TEST(scores_of_both_votes_are_the_authors) {
  const Golden golden("fvit");
  for (const std::string id :
       {"coco.scores", "lvis.scores", "lvis.transfer-scores"}) {
    const auto name = id.substr(0, id.find('.'));
    const auto& one = golden.at(id);
    const auto& options = *one.find("options");
    const auto words = golden
                           .tensor(*golden.at(name + ".class-embeddings")
                                        .find("outputs")
                                        ->find("matrix"))
                           .t()
                           .contiguous();
    const auto embeddings = golden.tensor(*golden.at(name + ".box-head")
                                               .find("outputs")
                                               ->find("class_embedding"));
    const auto* given = one.find("inputs")->find("vlm_features");
    at::Tensor votes;
    if (given) {
      votes = golden.tensor(*given);
    } else {
      const auto boxes =
          golden.tensor(*one.find("inputs")->find("proposals")).slice(1, 0, 4);
      votes = declip::pool_boxes_of_levels(
                  {golden.tensor(*one.find("inputs")->find("V"))},
                  {*one.find("config")->find("vlm_stride")->number()},
                  boxes.contiguous(),
                  at::zeros({boxes.size(0)}, at::kLong),
                  1)
                  .flatten(1);
      golden.compare(id, "vlm_features", votes);
    }
    at::Tensor novel;
    if (const auto* base = options.find("base")) {
      novel = at::zeros({words.size(0) - 1}, at::kBool);
      for (int64_t k = 0; k < novel.size(0); ++k)
        novel[k] = !*base->array()->at(static_cast<size_t>(k)).boolean();
    }
    const auto number = [&](const char* key, const char* of_config) {
      const auto* found = options.find(key);
      return *(found ? found : one.find("config")->find(of_config))->number();
    };
    golden.compare(id,
                   "scores",
                   declip::combined_scores(unit_rows(embeddings),
                                           unit_rows(votes),
                                           words,
                                           {},
                                           novel,
                                           number("alpha", "alpha"),
                                           number("beta", "beta"),
                                           number("tau_det", "tau_det"),
                                           number("tau_vlm", "tau_vlm")));
  }
}

TEST(scores_are_those_of_loops_in_double_precision) {
  Random random;
  for (int round = 0; round < 20; ++round) {
    const int64_t p = random.integer(0, 40), e = random.integer(1, 30);
    const int64_t classes = random.integer(1, 9);
    const bool one_each = random.coin();
    const int64_t w = one_each ? classes + 1 : random.integer(12, 300);
    const auto embeddings = unit_rows(random.tensor({p, e}) + 1e-3);
    const auto votes = unit_rows(random.tensor({p, e}) + 1e-3);
    const auto words = unit_rows(random.tensor({w, e}) + 1e-3);
    auto word_class = at::arange(w).remainder(classes + 1);
    if (!one_each) word_class = word_class.flip(0).contiguous();
    const auto novel = random.tensor({classes}).gt(0);
    const double alpha = random.real(0, 1), beta = random.real(0, 1);
    const double td = random.real(0, 80), tv = random.real(0, 80);
    const auto got =
        declip::combined_scores(embeddings,
                                votes,
                                words,
                                one_each ? at::Tensor() : word_class,
                                novel,
                                alpha,
                                beta,
                                td,
                                tv);
    CHECK(got.sizes() == at::IntArrayRef({p, classes + 1}));
    const auto pd = at::softmax(
        td * at::matmul(embeddings.to(at::kDouble), words.t().to(at::kDouble)),
        1);
    const auto pv = at::softmax(
        tv * at::matmul(votes.to(at::kDouble), words.t().to(at::kDouble)), 1);
    double worst = 0;
    for (int64_t i = 0; i < p; ++i) {
      for (int64_t k = 0; k <= classes; ++k) {
        const double share =
            k < classes && novel[k].item<bool>() ? beta : alpha;
        double best = 0;
        for (int64_t j = 0; j < w; ++j) {
          if (word_class[j].item<int64_t>() != k) continue;
          best = std::max(best,
                          std::pow(pd[i][j].item<double>(), 1 - share) *
                              std::pow(pv[i][j].item<double>(), share));
        }
        worst = std::max(worst, std::abs(best - got[i][k].item<double>()));
      }
    }
    CHECK_CLOSE(worst, 0, 1e-5);
  }
}

TEST(a_row_without_direction_has_nan_scores_and_no_object) {
  Random random;
  auto embeddings = unit_rows(random.tensor({4, 8}));
  embeddings[1].fill_(std::numeric_limits<float>::quiet_NaN());
  auto votes = unit_rows(random.tensor({4, 8}));
  votes[3][2].fill_(std::numeric_limits<float>::quiet_NaN());
  const auto words = unit_rows(random.tensor({40, 8}));
  const auto classes = at::arange(40).remainder(5).contiguous();
  for (const bool grouped : {false, true}) {
    const auto scores =
        declip::combined_scores(embeddings,
                                votes,
                                words,
                                grouped ? classes : at::Tensor(),
                                {},
                                0.1,
                                0.8,
                                50,
                                75);
    for (const int64_t row : {1, 3})
      CHECK(scores[row].isnan().all().item<bool>());
    for (const int64_t row : {0, 2})
      CHECK(!scores[row].isnan().any().item<bool>());
    const auto boxes = at::tensor({0.f, 0.f, 5.f, 5.f}).expand({4, 4});
    const auto kept =
        declip::choose_objects(boxes.contiguous(), scores, -1, 1, 1000);
    CHECK(kept.rows.size(0) == 2 * (scores.size(1) - 1));
    CHECK(kept.rows.remainder(2).eq(0).all().item<bool>());
  }
}

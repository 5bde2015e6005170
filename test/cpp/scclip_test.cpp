// SC-CLIP against its authors' code, stage by stage, and against plain loops on
// random grids.

#include "model/scclip.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/family.h"
#include "declip/error.h"
#include "declip/model.h"
#include "golden.h"
#include "model/dense_mode.h"
#include "model/scclip_outliers.h"
#include "random_planes.h"
#include "tap.h"

using declip::Call;
using declip::DenseMode;
using declip::DenseOptions;
using declip::ErrorCode;
using declip::Grid;
using declip::ScClipOptions;
using declip::VisionTower;

namespace {

const Golden& scclip_golden() {
  static const Golden folder("leading-methods");
  return folder;
}

std::unique_ptr<VisionTower> scclip_tower(
    const std::string& file,
    bool fused,
    const declip::ConfigOverrides& overrides = {}) {
  const auto from = declip::load_checkpoint(file, overrides);
  declip::Numerics numerics;
  numerics.fused = fused;
  const Call call;
  const declip::Weights weights(from.tensors, at::kCPU, at::kFloat, call);
  return from.config.family->training->make_tower(
      from.config.vision, weights, numerics);
}

/// As Golden::compare(), but a few rows of tokens may lie beyond a threshold:
/// at most 3, off by 2 % of the largest value.
void compare_scclip(const std::string& id,
                    const std::string& name,
                    const at::Tensor& got) {
  const auto& spec = *scclip_golden().at(id).find("outputs")->find(name);
  const auto expected = scclip_golden().tensor(spec).to(at::kDouble);
  const auto off =
      (got.to(at::kDouble).reshape(expected.sizes()) - expected).abs();
  const auto allowed = *spec.find("atol")->number() +
                       *spec.find("rtol")->number() * expected.abs();
  const auto outside = off.le(allowed).logical_not().flatten(0, -2).any(1);
  const auto rows = outside.sum().item<int64_t>();
  const double largest = off.max().item<double>();
  CHECK_CLOSE(static_cast<double>(rows), 0, 3);
  CHECK_CLOSE(largest, 0, 0.02 * *spec.find("max_abs")->number());
}

/// What the weights do not tell.
declip::ConfigOverrides scclip_overrides(const std::string& id) {
  const auto& config = *scclip_golden().at(id).find("config");
  declip::ConfigOverrides out;
  out.head_width = *config.find("vision_width")->integer() /
                   *config.find("vision_heads")->integer();
  out.activation = declip::Activation::kQuickGelu;
  out.layer_norm_eps = *config.find("layer_norm_eps")->number();
  return out;
}

ScClipOptions scclip_options(const std::string& id) {
  const auto& spec = *scclip_golden().at(id).find("options");
  const auto& fused = *spec.find("fused_blocks")->array();
  ScClipOptions out;
  out.middle_block = *spec.find("middle_block")->integer();
  out.early_block = *spec.find("early_block")->integer();
  out.first_fused = *fused.front().integer();
  out.last_fused = *fused.back().integer();
  out.class_weight = *spec.find("class_token_weight")->number();
  out.threshold = *spec.find("beta")->number();
  out.gain = *spec.find("similarity_gain")->number();
  out.neighbours = *spec.find("lof_neighbours")->integer();
  out.anomalous_share = *spec.find("lof_contamination")->number();
  return out;
}

// Plain loops in double precision.

using PlainRows = std::vector<std::vector<double>>;

PlainRows plain_rows(const at::Tensor& x) {
  const auto in = x.to(at::kDouble).contiguous();
  PlainRows out;
  for (int64_t i = 0; i < in.size(0); ++i) {
    const double* row = in.const_data_ptr<double>() + i * in.size(1);
    out.emplace_back(row, row + in.size(1));
  }
  return out;
}

double plain_distance(const at::Tensor& got, const PlainRows& wanted) {
  const auto rows = plain_rows(got);
  double out = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t c = 0; c < rows[i].size(); ++c) {
      out = std::max(out, std::abs(rows[i][c] - wanted[i][c]));
    }
  }
  return out;
}

double plain_cosine(const std::vector<double>& a,
                    const std::vector<double>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t c = 0; c < a.size(); ++c) {
    ab += a[c] * b[c];
    aa += a[c] * a[c];
    bb += b[c] * b[c];
  }
  return ab / std::sqrt(aa * bb);
}

/// The local outlier factor as it is defined, with its density.
std::vector<double> plain_scores(const PlainRows& x, size_t k) {
  const size_t count = x.size();
  std::vector<double> density(count);
  std::vector<std::vector<size_t>> near(count);
  for (size_t i = 0; i < count; ++i) {
    std::vector<std::pair<double, size_t>> others;
    for (size_t j = 0; j < count; ++j) {
      if (j == i) continue;
      double square = 0;
      for (size_t c = 0; c < x[i].size(); ++c) {
        square += (x[i][c] - x[j][c]) * (x[i][c] - x[j][c]);
      }
      others.emplace_back(square, j);
    }
    std::sort(others.begin(), others.end());
    for (size_t n = 0; n < k; ++n) near[i].push_back(others[n].second);
    density[i] = static_cast<double>(k) / others[k - 1].first;
  }
  std::vector<double> out(count);
  for (size_t i = 0; i < count; ++i) {
    double sum = 0;
    for (const size_t j : near[i]) sum += density[j];
    out[i] = sum / static_cast<double>(k) / density[i];
  }
  return out;
}

std::vector<bool> plain_anomalous(std::vector<double> scores, double share) {
  const auto given = scores;
  std::sort(scores.begin(), scores.end());
  const double at = (1 - share) * static_cast<double>(scores.size() - 1);
  const auto below = static_cast<size_t>(at);
  const double rest = at - static_cast<double>(below);
  const double limit =
      rest == 0 ? scores[below]
                : scores[below] + rest * (scores[below + 1] - scores[below]);
  std::vector<bool> out;
  for (const double score : given) out.push_back(score > limit);
  return out;
}

PlainRows plain_repaired(const PlainRows& x,
                         const std::vector<bool>& bad,
                         Grid grid) {
  auto out = x;
  for (int64_t row = 0; row < grid.h; ++row) {
    for (int64_t column = 0; column < grid.w; ++column) {
      const auto i = static_cast<size_t>(row * grid.w + column);
      if (!bad[i]) continue;
      std::vector<double> sum(x[i].size());
      double count = 0;
      for (int64_t y = row - 1; y <= row + 1; ++y) {
        for (int64_t z = column - 1; z <= column + 1; ++z) {
          if (y < 0 || z < 0 || y >= grid.h || z >= grid.w) continue;
          const auto j = static_cast<size_t>(y * grid.w + z);
          if (bad[j]) continue;
          for (size_t c = 0; c < sum.size(); ++c) sum[c] += x[j][c];
          ++count;
        }
      }
      if (count == 0) continue;
      for (size_t c = 0; c < sum.size(); ++c) out[i][c] = sum[c] / count;
    }
  }
  return out;
}

PlainRows plain_average(const PlainRows& y,
                        const PlainRows& x,
                        double threshold) {
  PlainRows out(y.size(), std::vector<double>(y[0].size()));
  for (size_t i = 0; i < y.size(); ++i) {
    double total = 1e-6;
    for (size_t j = 0; j < y.size(); ++j) {
      const double weight = plain_cosine(x[i], x[j]);
      if (weight < threshold) continue;
      total += weight;
      for (size_t c = 0; c < y[j].size(); ++c) out[i][c] += weight * y[j][c];
    }
    for (double& value : out[i]) value /= total;
  }
  return out;
}

at::Tensor plain_tensor(const PlainRows& x) {
  auto out = at::empty(
      {static_cast<int64_t>(x.size()), static_cast<int64_t>(x[0].size())},
      at::kDouble);
  for (size_t i = 0; i < x.size(); ++i) {
    std::copy(x[i].begin(),
              x[i].end(),
              out.mutable_data_ptr<double>() + i * x[0].size());
  }
  return out;
}

/// The last block's attention by the definition: one [N, N] map per head.
at::Tensor plain_attended(const VisionTower& tower,
                          const PlainRows& y,
                          const PlainRows& middle,
                          double gain) {
  const int64_t i = tower.depth() - 1;
  const auto count = static_cast<int64_t>(y.size());
  auto similar = at::empty({count, count}, at::kDouble);
  for (int64_t a = 0; a < count; ++a) {
    for (int64_t b = 0; b < count; ++b) {
      similar[a][b].fill_(plain_cosine(middle[static_cast<size_t>(a)],
                                       middle[static_cast<size_t>(b)]));
    }
  }
  auto shifted = gain * (similar - similar.mean());
  const auto first =
      shifted.masked_fill(shifted < 0, -std::numeric_limits<double>::infinity())
          .softmax(1);
  const auto heads = tower.project(
      i, tower.norm1(i, plain_tensor(y).to(at::kFloat).unsqueeze(0)), {});
  const auto k = heads.k[0].transpose(0, 1).to(at::kDouble);  // (n, N, d)
  const auto v = heads.v[0].transpose(0, 1).to(at::kDouble);
  const auto second =
      at::matmul(k, k.transpose(1, 2) / std::sqrt(k.size(2))).softmax(2);
  const auto merged = at::matmul((first + second) / 2, v)
                          .transpose(0, 1)
                          .flatten(1)
                          .to(at::kFloat)
                          .unsqueeze(0);
  return tower.output(i, merged, {})[0].to(at::kDouble);
}

}  // namespace

TEST(scclip_steps_are_those_of_its_authors) {
  const c10::InferenceMode guard;
  for (const std::string id :
       {"scclip-native", "scclip-large-square", "scclip-nonsquare"}) {
    for (const bool fused : {true, false}) {
      const tap::Case here(id + (fused ? ", fused" : ", eager"));
      const auto tower =
          scclip_tower(scclip_golden().path("clip12.safetensors"),
                       fused,
                       scclip_overrides(id));
      const auto image = scclip_golden().image(id);
      const auto options = scclip_options(id);
      const auto grid = tower->grid(image.size(2), image.size(3));
      declip::ScClipTap tap(options, tower->depth());
      const auto x =
          declip::walk(*tower,
                       tower->embed(image, declip::Positions::kScaleFactor),
                       0,
                       tower->depth() - 1,
                       grid,
                       {},
                       {&tap});
      declip::ScClipSteps steps;
      const auto tokens =
          declip::scclip_tokens(*tower, x, grid, options, tap, {}, &steps);
      const auto& outputs = *scclip_golden().at(id).find("outputs");
      const auto compare = [&](const char* name, const at::Tensor& got) {
        if (outputs.find(name) != nullptr) compare_scclip(id, name, got);
      };
      const auto early = tap.early().slice(1, 1);
      const auto average = [&](int64_t pass) {
        return declip::averaged_by_similarity(
            steps.attended.slice(0, pass, pass + 1), early, options.threshold);
      };
      const auto found = steps.positions[0].nonzero().flatten();
      CHECK(found.to(at::kInt).equal(
          scclip_golden().tensor(*outputs.find("outliers"))));
      compare("block_output", x[0]);
      scclip_golden().compare(id, "lof_scores", steps.scores);
      compare("repaired", steps.repaired);
      compare("repaired_middle", steps.middle);
      compare("aggregated_before", steps.aggregated);
      compare("attended", steps.attended[0]);
      // Recorded after the second pass was added to it.
      compare("aggregated_after", average(0) + average(1));
      compare("multi_level_attended", steps.attended[1]);
      compare("multi_level_aggregated", average(1));
      compare("tokens", tower->finish(tokens));
      const auto unit = steps.middle[0] / steps.middle[0].norm(2, {1}, true);
      compare("similarity", at::mm(unit, unit.t()));
    }
  }
}

TEST(scclip_of_any_grid_is_what_plain_loops_say) {
  const c10::InferenceMode guard;
  Random random;
  for (const char* file :
       {"clip-tiny/state_dict.pt", "eva-tiny/eva-tiny.safetensors"}) {
    for (const bool fused : {true, false}) {
      const tap::Case here(std::string(file) + (fused ? ", fused" : ", eager"));
      const auto tower = scclip_tower(files::fixture(file), fused);
      const Grid grid{random.integer(3, 5), random.integer(7, 11)};
      ScClipOptions options;
      options.middle_block = tower->depth() - 1;
      options.early_block = 1;
      options.first_fused = 1;
      options.last_fused = tower->depth() - 1;
      options.class_weight = random.real(-0.5, 0.5);
      options.threshold = random.real(0, 0.5);
      options.gain = random.real(2, 6);
      options.neighbours = random.integer(3, 9);
      options.anomalous_share = random.real(0.1, 0.3);
      const int64_t patch = tower->config().patch;
      const auto image = random.tensor({1, 3, grid.h * patch, grid.w * patch});
      // By hand, from the tower's own blocks.
      auto x = tower->embed(image, declip::Positions::kScaleFactor);
      at::Tensor sum, early;
      for (int64_t i = 0; i + 1 < tower->depth(); ++i) {
        x = tower->block(i, x, grid, {}, nullptr);
        if (i == 0) early = x;
        sum = sum.defined() ? sum + x : x;
      }
      auto tokens = plain_rows(x[0].slice(0, 1));
      const auto scores =
          plain_scores(tokens, static_cast<size_t>(options.neighbours));
      const auto bad = plain_anomalous(scores, options.anomalous_share);
      CHECK(std::count(bad.begin(), bad.end(), true) > 0);
      tokens = plain_repaired(tokens, bad, grid);
      const auto& middle = tokens;  // of the same block
      const double beta = options.threshold;
      const auto rho = *options.class_weight;
      auto one = plain_attended(
          *tower, plain_average(tokens, middle, beta), middle, options.gain);
      one = one + rho * x[0][0].to(at::kDouble);
      auto two = plain_attended(
          *tower, plain_rows(sum[0].slice(0, 1)), middle, options.gain);
      two = two + rho * sum[0][0].to(at::kDouble);
      const auto similar = plain_rows(early[0].slice(0, 1));
      const auto wanted =
          plain_tensor(plain_average(plain_rows(one), similar, beta)) +
          plain_tensor(plain_average(plain_rows(two), similar, beta));
      DenseOptions dense;
      dense.mode = DenseMode::kScClip;
      dense.scclip = options;
      const auto got =
          declip::dense_tokens(*tower, image, dense, tower->depth(), Call());
      const double scale = wanted.abs().max().item<double>();
      const double off = plain_distance(got[0], plain_rows(wanted)) / scale;
      CHECK_CLOSE(off, 0, 2e-5);
    }
  }
}

TEST(scclip_of_a_picture_does_not_depend_on_others) {
  const c10::InferenceMode guard;
  Random random;
  for (const char* file :
       {"clip-tiny/state_dict.pt", "eva-tiny/eva-tiny.safetensors"}) {
    const auto tower = scclip_tower(files::fixture(file), true);
    const int64_t patch = tower->config().patch;
    const auto images = random.tensor({3, 3, 5 * patch, 8 * patch});
    DenseOptions dense;
    dense.mode = DenseMode::kScClip;
    dense.scclip.middle_block = tower->depth() - 1;
    dense.scclip.early_block = 1;
    dense.scclip.first_fused = 1;
    dense.scclip.last_fused = tower->depth() - 1;
    dense.scclip.class_weight = 0.3;
    const auto together = declip::encode_dense(*tower, images, dense, Call());
    for (int64_t b = 0; b < 3; ++b) {
      const auto alone = declip::encode_dense(
          *tower, images.slice(0, b, b + 1), dense, Call());
      const double off = distance(alone[0], together[b]);
      CHECK_CLOSE(off, 0, 1e-5 * together.abs().max().item<double>());
    }
  }
}

TEST(anomalous_tokens_are_few_or_none) {
  const c10::InferenceMode guard;
  Random random;
  // Fewer than k others.
  CHECK(!declip::outlier_scores(random.tensor({2, 30, 8}), 30).defined());
  CHECK(declip::outlier_scores(random.tensor({2, 31, 8}), 30).defined());
  // All alike.
  const auto alike = random.tensor({1, 1, 8}).expand({1, 40, 8});
  const auto scores = declip::outlier_scores(alike, 30);
  CHECK(at::isfinite(scores).all().item<bool>());
  CHECK(!declip::anomalous(at::ones({1, 40}), 0.05).any().item<bool>());
  // A token far from all others is one; with a grid of anomalous tokens it
  // stays.
  auto x = random.tensor({1, 40, 8});
  x[0][17] = 100;
  const auto found =
      declip::anomalous(declip::outlier_scores(x, 30), 0.05)[0].nonzero();
  CHECK(found.eq(17).any().item<bool>());
  const auto all = at::ones({1, 40}, at::kBool);
  CHECK(declip::repaired(x, all, {5, 8}).equal(x));
  // Pictures have statistics of their own.
  const auto two = at::cat({x, random.tensor({1, 40, 8})});
  CHECK(declip::outlier_scores(two, 30)[0].equal(
      declip::outlier_scores(x, 30)[0]));
}

TEST(outliers_of_many_tokens_are_what_plain_loops_say) {
  const c10::InferenceMode guard;
  Random random;
  // More rows than one block has, far from the origin, as residual streams are.
  const Grid grid{random.integer(25, 30), random.integer(31, 40)};
  const int64_t count = grid.h * grid.w;
  const auto x = random.tensor({1, count, 6}) + 300;
  const auto got = declip::outlier_scores(x, 12);
  const auto wanted = plain_scores(plain_rows(x[0]), 12);
  double off = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double score = wanted[static_cast<size_t>(i)];
    off = std::max(off, std::abs(got[0][i].item<double>() - score) / score);
  }
  CHECK_CLOSE(off, 0, 1e-3);
  const auto bad = plain_anomalous(wanted, 0.05);
  const auto positions = declip::anomalous(got, 0.05);
  int64_t different = 0;
  for (int64_t i = 0; i < count; ++i) {
    different +=
        positions[0][i].item<bool>() != bad[static_cast<size_t>(i)] ? 1 : 0;
  }
  CHECK(different == 0);
  const auto tokens = random.tensor({1, count, 6});
  CHECK(plain_distance(declip::repaired(tokens, positions, grid)[0],
                       plain_repaired(plain_rows(tokens[0]), bad, grid)) <
        1e-6);
  CHECK(plain_distance(
            declip::averaged_by_similarity(tokens, tokens, 0.4)[0],
            plain_average(plain_rows(tokens[0]), plain_rows(tokens[0]), 0.4)) <
        1e-5);
}

TEST(scclip_has_numbers_for_two_depths) {
  const auto b16 = declip::scclip_blocks({}, 12);
  CHECK(b16.middle == 9 && b16.early == 4);
  CHECK(b16.first_fused == 4 && b16.last_fused == 10);
  CHECK(b16.class_weight == 0.3);
  const auto l14 = declip::scclip_blocks({}, 24);
  CHECK(l14.middle == 17 && l14.early == 7);
  CHECK(l14.first_fused == 9 && l14.last_fused == 19);
  CHECK(l14.class_weight == 0.1);
  ScClipOptions own;
  own.middle_block = 8;
  CHECK(declip::scclip_blocks(own, 12).middle == 8);
  CHECK(declip::scclip_blocks(own, 12).early == 4);
  const auto message = [](const ScClipOptions& options, int64_t depth) {
    try {
      declip::scclip_blocks(options, depth);
    } catch (const declip::Error& error) {
      CHECK(error.code() == ErrorCode::kInvalidArg);
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message({}, 32) ==
        "Dense mode 'scclip' has published numbers for towers of 12 and 24 "
        "blocks, and this one has 32: give scclip.middleBlock (23), "
        "scclip.earlyBlock (9), scclip.fusedBlocks ([12, 25]), "
        "scclip.classWeight (0.1); in brackets is what lies at the same "
        "relative depth, which nobody has measured.");
  own.early_block = 1;
  own.class_weight = 0.3;
  CHECK(message(own, 6).find("give scclip.fusedBlocks ([2, 5]);") !=
        std::string::npos);
  own.first_fused = 2;
  own.last_fused = 5;
  CHECK(message(own, 6).find("scclip.middleBlock must be 1..5") == 0);
  own.middle_block = 4;
  CHECK(message(own, 6).empty());
  own.last_fused = 1;
  CHECK(!message(own, 6).empty());
  CHECK(!message({}, 1).empty());
}

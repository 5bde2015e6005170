// Losses against plain arithmetic, and their gradients through the towers
// against finite differences in float64.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "declip/model.h"
#include "model/dense_mode.h"
#include "small_models.h"
#include "tap.h"
#include "tensor_maps.h"
#include "train/losses.h"
#include "train/objectives.h"
#include "train/parameters.h"

using declip::ErrorCode;

using tensor_maps::Tensors;

namespace {

double at2(const at::Tensor& x, int64_t i, int64_t j) {
  return x[i][j].item<double>();
}

/// The sum of an objective's losses with these float64 parameters; runs its
/// backward() if they have gradients to get.
double loss_of(const Tensors& parameters,
               const declip::ModelConfig& config,
               const declip::VisionTower& teacher,
               const declip::TrainOptions& options,
               bool checkpoints,
               bool backward) {
  const declip::Call call;
  declip::Numerics numerics;
  numerics.dtype = at::kDouble;
  const declip::Weights weights(parameters, at::kCPU, at::kDouble, call);
  const auto student =
      config.family == &declip::families::eva
          ? declip::make_eva_tower(config.vision, weights, numerics)
          : declip::make_plain_tower(config.vision, weights, numerics);
  const declip::TextTower text(*config.text, weights, numerics);
  declip::Towers towers{
      student.get(), &teacher, &text, parameters.at("logit_scale")};
  // The positional table is resized in float32, so the grid is its own.
  auto batch = small::batch(1, 32);
  batch.images = batch.images.to(at::kDouble);
  declip::SplitMix random(3);
  declip::Trunk trunk(*student, batch.images, checkpoints, call);
  at::Tensor total = at::zeros({}, at::kDouble);
  for (const auto& [name, loss] :
       declip::objective_losses(towers, trunk, batch, options, random, call)) {
    total = total + loss;
  }
  if (backward) {
    total.backward();
    trunk.backward(call);
  }
  return total.item<double>();
}

/// Compares the slope along a random direction of everything that learns.
void check_slope(const declip::FamilySpec* family,
                 const declip::TrainOptions& options,
                 bool checkpoints) {
  const auto checkpoint = small::model(family);
  const declip::Call call;
  const declip::Weights weights(checkpoint.tensors, at::kCPU, at::kFloat, call);
  const auto teacher =
      family == &declip::families::eva
          ? declip::make_eva_tower(checkpoint.config.vision, weights, {})
          : declip::make_plain_tower(checkpoint.config.vision, weights, {});
  const auto names = declip::trainable_parameters(
      checkpoint.config, checkpoint.tensors, options);
  std::set<std::string> learning(names.begin(), names.end());
  if (options.objective == declip::Objective::kRegionText) {
    learning.erase("logit_scale");  // the loss is held off it
  }

  // The student is somewhere else, so that no cosine is at its maximum.
  Tensors start, direction;
  Random random;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    const auto moved = random.tensor(tensor.sizes()).to(at::kDouble);
    start.emplace(name, tensor.to(at::kDouble) + 0.1 * moved);
    if (learning.contains(name)) {
      direction.emplace(name, random.tensor(tensor.sizes()).to(at::kDouble));
      start.at(name).requires_grad_();
    }
  }
  loss_of(start, checkpoint.config, *teacher, options, checkpoints, true);
  double slope = 0;
  for (const auto& [name, d] : direction) {
    const auto& gradient = start.at(name).grad();
    if (gradient.defined()) slope += (gradient * d).sum().item<double>();
  }

  const c10::NoGradGuard guard;
  constexpr double kStep = 1e-6;
  const auto moved = [&](double by) {
    Tensors out = start;
    for (const auto& [name, d] : direction) out[name] = start[name] + by * d;
    return loss_of(out, checkpoint.config, *teacher, options, false, false);
  };
  const double measured = (moved(kStep) - moved(-kStep)) / (2 * kStep);
  CHECK(std::abs(slope) > 1e-4);
  CHECK_CLOSE(slope, measured, 1e-6 * std::max(1.0, std::abs(measured)));
}

}  // namespace

TEST(gradients_of_every_objective_are_the_slopes) {
  for (const auto family : small::kFamilies) {
    for (const auto objective : small::kObjectives) {
      auto options = small::options(objective);
      check_slope(family, options, false);
      options.unlocked_groups = 2;
      check_slope(family, options, true);
    }
  }
}

TEST(gradients_of_every_distill_mode_are_the_slopes) {
  for (const auto family : small::kFamilies) {
    for (const char* mode : {"qq", "kk", "vv", "csa", "all"}) {
      for (const bool per_head : {false, true}) {
        auto options = small::options(declip::Objective::kDeClip);
        options.mode = declip::dense_mode_from(mode);
        options.context_per_head = per_head;
        check_slope(family, options, per_head);
      }
    }
  }
}

TEST(cosine_loss_is_one_minus_the_mean_cosine) {
  const auto a = at::tensor({1.0, 0.0, 0.6, 0.8}).view({2, 2});
  const auto b = at::tensor({0.0, 1.0, 0.6, 0.8}).view({2, 2});
  CHECK_CLOSE(declip::cosine_loss(a, b).item<double>(), 0.5, 1e-12);
}

TEST(context_loss_is_the_mean_length_of_rows) {
  const auto student = at::zeros({1, 1, 2, 2}, at::kDouble);
  const auto teacher = at::tensor({3.0, 4.0, 0.0, 2.0}).view({1, 2, 2});
  CHECK_CLOSE(
      declip::context_loss(student, teacher).item<double>(), 3.5, 1e-12);
  // Heads are averaged.
  CHECK_CLOSE(
      declip::context_loss(at::cat({student, teacher.unsqueeze(1)}, 1), teacher)
          .item<double>(),
      1.75,
      1e-12);
}

TEST(similarity_is_over_all_channels_or_those_of_a_head) {
  Random random;
  const declip::Heads heads{random.tensor({2, 10, 2, 4}),
                            random.tensor({2, 10, 2, 4}),
                            random.tensor({2, 10, 2, 4})};
  const declip::Grid grid{3, 3};
  const auto cosine = [](const at::Tensor& x, int64_t i, int64_t j) {
    return at::cosine_similarity(x[i], x[j], 0, 1e-12).item<double>();
  };
  const auto q = heads.q[1].slice(0, 1), k = heads.k[1].slice(0, 1);
  const auto whole = declip::context_similarity(
      heads, declip::DenseMode::kCsa, false, grid, grid);
  CHECK(whole.sizes() == at::IntArrayRef({2, 1, 9, 9}));
  CHECK_CLOSE(at2(whole[1][0], 2, 7),
              (cosine(q.flatten(1), 2, 7) + cosine(k.flatten(1), 2, 7)) / 2,
              1e-6);
  const auto split = declip::context_similarity(
      heads, declip::DenseMode::kQq, true, grid, grid);
  CHECK(split.sizes() == at::IntArrayRef({2, 2, 9, 9}));
  CHECK_CLOSE(at2(split[1][1], 2, 7), cosine(q.select(1, 1), 2, 7), 1e-6);
}

TEST(tokens_go_to_the_foundation_models_grid) {
  // A map that is linear in its row stays so, whichever the grid.
  auto tokens = at::zeros({1, 1 + 16, 1, 2}, at::kFloat);
  for (int64_t i = 0; i < 16; ++i) {
    tokens[0][1 + i][0][0] = 1.0;
    tokens[0][1 + i][0][1] = static_cast<double>(i / 4);
  }
  const declip::Heads heads{tokens, {}, {}};
  const auto got = declip::context_similarity(
      heads, declip::DenseMode::kQq, false, {4, 4}, {2, 3});
  CHECK(got.sizes() == at::IntArrayRef({1, 1, 6, 6}));
  // Rows at 0.5 and 2.5: (1, 0.5) and (1, 2.5).
  CHECK_CLOSE(at2(got[0][0], 0, 2), 1, 1e-6);
  CHECK_CLOSE(at2(got[0][0], 0, 3), 2.25 / std::sqrt(1.25 * 7.25), 1e-6);
}

TEST(region_text_loss_is_the_sum_over_classes) {
  Random random;
  const auto unit = [&](int64_t rows) {
    const auto x = random.tensor({rows, 4}).to(at::kDouble);
    return x / x.norm(2, {1}, true);
  };
  const auto regions = unit(3), features = unit(6);
  const auto labels = at::tensor({4, 0, 4}, at::kLong);
  const std::vector<int64_t> classes{0, 4, 2};
  const auto scale = at::full({}, 1.5, at::kDouble);
  double sigmoid = 0, softmax = 0;
  for (int64_t k = 0; k < 3; ++k) {
    double sum = 0;
    for (const int64_t c : classes) {
      const double z =
          std::exp(1.5) * regions[k].dot(features[c]).item<double>();
      const bool own = labels[k].item<int64_t>() == c;
      sigmoid += std::log1p(std::exp(own ? -z : z)) / 3;
      sum += std::exp(z);
      if (own) softmax -= z / 3;
    }
    softmax += std::log(sum) / 3;
  }
  const auto loss = [&](declip::RegionLoss form) {
    return declip::region_text_loss(
               regions, labels, features, classes, scale, form)
        .item<double>();
  };
  CHECK_CLOSE(loss(declip::RegionLoss::kSigmoid), sigmoid, 1e-12);
  CHECK_CLOSE(loss(declip::RegionLoss::kSoftmax), softmax, 1e-12);
}

TEST(classes_are_the_present_ones_and_others_once) {
  const auto labels = at::tensor({7, 2, 7}, at::kLong);
  declip::SplitMix random(5), again(5);
  const auto drawn = declip::draw_classes(labels, 12, 6, random);
  CHECK(drawn.size() == 6);
  CHECK(drawn[0] == 2 && drawn[1] == 7);
  CHECK(std::set<int64_t>(drawn.begin(), drawn.end()).size() == 6);
  CHECK(*std::max_element(drawn.begin(), drawn.end()) < 12);
  CHECK(drawn == declip::draw_classes(labels, 12, 6, again));
  CHECK(drawn != declip::draw_classes(labels, 12, 6, again));
  CHECK(declip::draw_classes(labels, 12, 100, random).size() == 12);
  CHECK(declip::draw_classes(labels, 12, 1, random).size() == 2);
}

TEST(contrastive_loss_is_both_cross_entropies) {
  Random random;
  const auto images = random.tensor({3, 4}).to(at::kDouble);
  const auto texts = random.tensor({3, 4}).to(at::kDouble);
  const auto scale = at::full({}, 0.5, at::kDouble);
  const auto z = std::exp(0.5) * images.matmul(texts.t());
  double expected = 0;
  for (int64_t i = 0; i < 3; ++i) {
    double row = 0, column = 0;
    for (int64_t j = 0; j < 3; ++j) {
      row += std::exp(at2(z, i, j));
      column += std::exp(at2(z, j, i));
    }
    expected += (std::log(row) + std::log(column) - 2 * at2(z, i, i)) / 6;
  }
  CHECK_CLOSE(declip::contrastive_loss(images, texts, scale).item<double>(),
              expected,
              1e-12);
}

TEST(only_distill_modes_have_a_context) {
  const declip::Heads heads;
  CHECK_THROWS_CODE(
      declip::context_similarity(
          heads, declip::DenseMode::kVanilla, false, {1, 1}, {1, 1}),
      ErrorCode::kInvalidArg);
}

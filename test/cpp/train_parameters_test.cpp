// What learns, how it is updated, and how fast.

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "declip/train.h"
#include "small_models.h"
#include "tap.h"
#include "train/adamw.h"
#include "train/parameters.h"

using declip::ErrorCode;
namespace families = declip::families;
using declip::Objective;

namespace {

std::set<std::string> learning(const declip::FamilySpec* family,
                               Objective objective,
                               std::optional<int64_t> groups,
                               declip::DenseMode mode = declip::DenseMode::kQq,
                               bool text = true) {
  auto options = small::options(objective);
  options.unlocked_groups = groups;
  options.mode = mode;
  options.train_text = text;
  const auto model = small::model(family);
  const auto names =
      declip::trainable_parameters(model.config, model.tensors, options);
  return {names.begin(), names.end()};
}

int64_t starting(const std::set<std::string>& names, const std::string& with) {
  return std::count_if(names.begin(), names.end(), [&](const auto& name) {
    return name.starts_with(with);
  });
}

constexpr int64_t kEvaBlock = 21;    // tensors
constexpr int64_t kPlainBlock = 14;  // tensors, two of them LayerScale

/// The textbook's AdamW, one number at a time.
struct Reference {
  double m = 0, v = 0;
  int64_t t = 0;

  double update(double p,
                double g,
                double lr,
                const declip::AdamW::Options& o) {
    ++t;
    p -= lr * o.weight_decay * p;
    m = o.beta1 * m + (1 - o.beta1) * g;
    v = o.beta2 * v + (1 - o.beta2) * g * g;
    const double mh = m / (1 - std::pow(o.beta1, t));
    const double vh = v / (1 - std::pow(o.beta2, t));
    return p - lr * mh / (std::sqrt(vh) + o.epsilon);
  }
};

}  // namespace

TEST(groups_of_the_eva_tower_are_its_blocks) {
  const auto two = learning(&families::eva, Objective::kClipSelf, 2);
  CHECK(starting(two, "visual.blocks.0.") == 0);
  CHECK(starting(two, "visual.blocks.1.") == kEvaBlock);
  CHECK(starting(two, "visual.blocks.2.") == kEvaBlock);
  CHECK(two.contains("logit_scale"));
  CHECK(two.size() == 2 * kEvaBlock + 1);
  CHECK(learning(&families::eva, Objective::kClipSelf, {}).size() ==
        3 * kEvaBlock + 1);
}

TEST(groups_of_the_plain_tower_have_two_more) {
  const auto blocks = learning(&families::clip, Objective::kClipSelf, 3);
  CHECK(blocks.size() == 3 * kPlainBlock);
  CHECK(blocks == learning(&families::clip, Objective::kClipSelf, {}));
  const auto positions = learning(&families::clip, Objective::kClipSelf, 4);
  CHECK(positions.size() == blocks.size() + 1);
  CHECK(positions.contains("visual.positional_embedding"));
  const auto all = learning(&families::clip, Objective::kClipSelf, 5);
  CHECK(all.size() == positions.size() + 4);
  CHECK(all.contains("visual.conv1.weight"));
  CHECK(all.contains("visual.ln_pre.bias"));
  CHECK(!all.contains("visual.proj"));
  CHECK(!all.contains("visual.ln_post.weight"));
}

TEST(declip_locks_what_its_last_block_does_not_use) {
  using declip::DenseMode;
  const std::string last = "visual.blocks.2.";
  for (const auto& [mode, missing] :
       {std::pair{DenseMode::kQq, std::set<std::string>{"k_proj.weight"}},
        {DenseMode::kKk, {"q_proj.weight", "q_bias"}},
        {DenseMode::kVv, {}},
        {DenseMode::kCsa, {}},
        {DenseMode::kAll, {}}}) {
    const auto names = learning(&families::eva, Objective::kDeClip, 1, mode);
    CHECK(names.size() == kEvaBlock - 10 - missing.size());
    CHECK(starting(names, last + "mlp.") == 0);
    CHECK(starting(names, last + "norm2.") == 0);
    for (const auto& name : missing) {
      CHECK(!names.contains(last + "attn." + name));
    }
  }
  const auto plain = learning(&families::clip, Objective::kDeClip, 2);
  CHECK(plain.size() == 2 * kPlainBlock - 7);
  CHECK(starting(plain, "visual.transformer.resblocks.2.mlp.") == 0);
  CHECK(starting(plain, "visual.transformer.resblocks.1.mlp.") == 4);
}

TEST(contrastive_training_locks_nothing_unless_asked) {
  for (const auto family : small::kFamilies) {
    const auto tensors = small::model(family).tensors;
    CHECK(learning(family, Objective::kContrastive, {}).size() ==
          tensors.size());
    const auto locked = learning(
        family, Objective::kContrastive, 1, declip::DenseMode::kQq, false);
    CHECK(starting(locked, "text.") == 0);
    CHECK(!locked.contains("logit_scale"));
    CHECK(starting(locked, "visual.") == static_cast<int64_t>(locked.size()));
  }
}

TEST(impossible_groups_are_refused) {
  for (const int64_t groups : {int64_t{0}, int64_t{4}, int64_t{-1}}) {
    CHECK_THROWS_CODE(learning(&families::eva, Objective::kClipSelf, groups),
                      ErrorCode::kInvalidArg);
  }
  CHECK_THROWS_CODE(learning(&families::clip, Objective::kClipSelf, 6),
                    ErrorCode::kInvalidArg);
}

TEST(weight_decay_goes_by_shape_and_name) {
  const auto matrix = at::zeros({2, 2}), vector = at::zeros({2});
  CHECK(declip::has_weight_decay("visual.blocks.0.attn.proj.weight", matrix));
  CHECK(declip::has_weight_decay("visual.pos_embed", matrix));
  CHECK(!declip::has_weight_decay("visual.blocks.0.norm1.weight", vector));
  CHECK(!declip::has_weight_decay("visual.ln_post.weight", matrix));
  CHECK(!declip::has_weight_decay("visual.head.bias", matrix));
  CHECK(!declip::has_weight_decay("logit_scale", matrix));
}

TEST(adamw_is_the_textbooks) {
  Random random;
  declip::AdamW::Options options;
  options.beta2 = 0.98;
  options.epsilon = 1e-6;
  std::vector<declip::Parameter> parameters;
  for (const bool decays : {true, false}) {
    parameters.push_back(
        {decays ? "a" : "b", random.tensor({1000}).requires_grad_(), decays});
  }
  parameters.push_back({"idle", at::ones({3}).requires_grad_(), true});
  std::vector<Reference> reference(2);
  std::vector<double> expected;
  for (size_t i = 0; i < 2; ++i) {
    expected.push_back(parameters[i].value[17].item<double>());
  }
  declip::AdamW optimiser(parameters, options);
  for (int step = 0; step < 20; ++step) {
    const double rate = 1e-2 / (1 + step);
    for (size_t i = 0; i < 2; ++i) {
      // b rests in every second step, which does not count for it
      if (i == 1 && step % 2 == 1) {
        parameters[i].value.mutable_grad().reset();
        continue;
      }
      const auto gradient = random.tensor({1000});
      parameters[i].value.mutable_grad() = gradient;
      auto own = options;
      if (!parameters[i].decays) own.weight_decay = 0;
      expected[i] = reference[i].update(
          expected[i], gradient[17].item<double>(), rate, own);
    }
    optimiser.step(rate);
    for (size_t i = 0; i < 2; ++i) {
      CHECK_CLOSE(parameters[i].value[17].item<double>(), expected[i], 2e-6);
    }
  }
  CHECK(at::equal(parameters[2].value, at::ones({3})));
  CHECK(!optimiser.state().contains("exp_avg.idle"));
  CHECK(optimiser.state().at("steps.b").item<float>() == 10);
}

TEST(clipping_scales_all_gradients_to_one_norm) {
  std::vector<declip::Parameter> parameters;
  for (const double value : {3.0, 4.0}) {
    auto tensor = at::zeros({1}).requires_grad_();
    tensor.mutable_grad() = at::full({1}, value);
    parameters.push_back({"p", tensor, true});
  }
  parameters.push_back({"none", at::zeros({1}).requires_grad_(), true});
  const double norm = declip::gradient_norm(parameters).item<double>();
  CHECK_CLOSE(norm, 5, 1e-6);
  declip::clip_gradients(parameters, norm, 10);
  CHECK_CLOSE(parameters[0].value.grad().item<double>(), 3, 0);
  declip::clip_gradients(parameters, norm, 1);
  CHECK_CLOSE(parameters[0].value.grad().item<double>(), 0.6, 1e-6);
  CHECK_CLOSE(parameters[1].value.grad().item<double>(), 0.8, 1e-6);
}

TEST(schedules_that_cannot_be_are_refused) {
  declip::Schedule schedule;
  CHECK_THROWS_CODE(declip::learning_rate(schedule, 0),
                    ErrorCode::kInvalidArg);  // cosine over no steps
  schedule.total = 2000;
  CHECK_CLOSE(declip::learning_rate(schedule, 0), 1e-8, 1e-20);
  CHECK_CLOSE(declip::learning_rate(schedule, 1500), 5e-6, 1e-18);
  CHECK_CLOSE(declip::learning_rate(schedule, 5000), 0, 1e-18);
  schedule.rate = -1;
  CHECK_THROWS_CODE(declip::learning_rate(schedule, 0), ErrorCode::kInvalidArg);
  schedule.rate = NAN;
  CHECK_THROWS_CODE(declip::learning_rate(schedule, 0), ErrorCode::kInvalidArg);
}

TEST(a_rate_that_falls_in_steps_is_mmcvs) {
  declip::Schedule schedule;
  schedule.kind = declip::Schedule::Kind::kStep;
  schedule.rate = 1e-4;
  schedule.warmup = 250;
  schedule.warmup_from = 0.001;
  schedule.milestones = {200, 400};
  // hooks/lr_updater.py: k = (1 - i / 250) * (1 - 0.001), rate * (1 - k)
  CHECK_CLOSE(declip::learning_rate(schedule, 0), 1e-7, 1e-15);
  CHECK_CLOSE(declip::learning_rate(schedule, 125), 5.005e-5, 1e-15);
  CHECK_CLOSE(declip::learning_rate(schedule, 225), 0.9001e-5, 1e-15);
  CHECK_CLOSE(declip::learning_rate(schedule, 250), 1e-5, 1e-15);
  CHECK_CLOSE(declip::learning_rate(schedule, 399), 1e-5, 1e-15);
  CHECK_CLOSE(declip::learning_rate(schedule, 400), 1e-6, 1e-15);
  schedule.warmup_from = 2;
  CHECK_THROWS_CODE(declip::learning_rate(schedule, 0), ErrorCode::kInvalidArg);
}

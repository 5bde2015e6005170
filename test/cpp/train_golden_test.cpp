// Losses, gradients and updates of DeCLIP's and CLIPSelf's own programs.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <map>
#include <string>

#include "declip/checkpoint.h"
#include "declip/model.h"
#include "declip/train.h"
#include "golden.h"
#include "model/dense_mode.h"
#include "tap.h"
#include "train/losses.h"
#include "train/objectives.h"
#include "train/trunk.h"

namespace {

const Golden& golden() {
  static const Golden folder("train");
  return folder;
}

bool is_training(const std::string& id) {
  const auto* options = golden().at(id).find("options");
  return options != nullptr && options->find("optimiser") != nullptr;
}

declip::Checkpoint weights() {
  return declip::load_checkpoint(golden().path("student.safetensors"));
}

declip::TrainOptions options_of(const std::string& id) {
  const auto& json = *golden().at(id).find("options");
  declip::TrainOptions options;
  const auto& mode = *json.find("mode")->string();
  if (mode == "clipself") {
    options.objective = declip::Objective::kClipSelf;
  } else {
    options.objective = declip::Objective::kDeClip;
    options.mode = declip::dense_mode_from(mode.substr(0, mode.find('_')));
    options.content_weight = *json.find("content_weight")->number();
    options.context_weight = *json.find("context_weight")->number();
  }
  options.schedule.kind = declip::Schedule::Kind::kConstant;
  options.schedule.warmup = 0;
  options.schedule.rate = *json.find("lr")->number();
  options.weight_decay = *json.find("weight_decay")->number();
  options.unlocked_groups = *json.find("unlocked_blocks")->integer();
  return options;
}

declip::TrainBatch batch_of(const std::string& id) {
  const auto& inputs = *golden().at(id).find("inputs");
  std::vector<at::Tensor> images;
  for (const auto& image : *inputs.find("images")->array()) {
    images.push_back(golden().tensor(image));
  }
  // "images 0" or "images 0,1"
  auto count = static_cast<int64_t>(images.size());
  if (const auto* chosen = inputs.find("batch")) {
    count = 1 + std::ranges::count(*chosen->string(), ',');
    images.resize(static_cast<size_t>(count));
  }
  declip::TrainBatch batch;
  batch.images = at::cat(images);
  batch.boxes = golden().tensor(*inputs.find("boxes")).slice(0, 0, count);
  const auto boxes = batch.boxes.select(2, 4).gt(0.5).sum().item<int64_t>();
  batch.crops = golden().tensor(*inputs.find("crops")).slice(0, 0, boxes);
  if (const auto* vfm = inputs.find("vfm_features")) {
    batch.vfm_features = golden().tensor(*vfm).slice(0, 0, count);
  }
  return batch;
}

/// Compares every output of a case that begins with `prefix`, by what follows.
void compare_all(const std::string& id,
                 const std::string& prefix,
                 const std::map<std::string, at::Tensor>& got) {
  for (const auto& [name, spec] : *golden().at(id).find("outputs")->object()) {
    if (!name.starts_with(prefix)) continue;
    const auto it = got.find(name.substr(prefix.size()));
    CHECK(it != got.end());
    if (it != got.end()) golden().compare(id, name, it->second);
  }
}

void compare_losses(const std::string& id, const declip::TrainStep& step) {
  std::map<std::string, at::Tensor> losses;
  for (const auto& [name, value] : step.losses) {
    losses.emplace("loss_" + name, at::full({}, value, at::kDouble));
  }
  compare_all(id, "step" + std::to_string(step.step) + ".", losses);
}

}  // namespace

TEST(losses_gradients_and_updates_are_the_programs) {
  for (const auto& id : golden().ids()) {
    if (!is_training(id)) continue;
    declip::Trainer trainer(weights(), std::nullopt, options_of(id));
    const auto batch = batch_of(id);

    std::map<std::string, at::Tensor> gradients;
    const auto first = trainer.gradients({batch}, gradients, {});
    compare_losses(id, first);
    compare_all(id, "grad.", gradients);
    golden().compare(id, "grad_norm", at::full({}, first.gradient_norm));

    for (int64_t step = 1; step <= 3; ++step) {
      compare_losses(id, trainer.step({batch}, {}));
      compare_all(
          id, "param.step" + std::to_string(step) + ".", trainer.parameters());
    }
  }
}

TEST(what_learns_is_what_the_programs_train) {
  for (const auto& id : golden().ids()) {
    if (!is_training(id)) continue;
    declip::Trainer trainer(weights(), std::nullopt, options_of(id));
    const auto& values = *golden().at(id).find("values");
    CHECK(static_cast<int64_t>(trainer.trainable().size()) ==
          *values.find("trainable_count")->integer());
    std::map<std::string, at::Tensor> gradients;
    trainer.gradients({batch_of(id)}, gradients, {});
    size_t without = 0;
    for (const auto& name :
         *values.find("trainable_without_gradient")->array()) {
      CHECK(!gradients.contains(*name.string()));
      ++without;
    }
    CHECK(gradients.size() + without == trainer.trainable().size());

    // What has no gradient keeps its value, weight decay or not.
    const auto before = weights().tensors;
    trainer.step({batch_of(id)}, {});
    for (const auto& [name, value] : trainer.parameters()) {
      if (name == "logit_scale") continue;  // it is clamped
      CHECK(at::equal(value, before.at(name).to(at::kFloat)) ==
            !gradients.contains(name));
    }
  }
}

TEST(similarities_and_region_features_are_the_programs) {
  const auto checkpoint = weights();
  const declip::Call call;
  const declip::Numerics numerics;
  const declip::Weights tensors(checkpoint.tensors, at::kCPU, at::kFloat, call);
  const auto tower =
      declip::make_eva_tower(checkpoint.config.vision, tensors, numerics);
  const auto batch = batch_of("similarities");
  const declip::Trunk trunk(*tower, batch.images, false, call);
  declip::Heads heads;
  auto options = options_of("declip-qq");
  const auto regions = declip::region_features(
      *tower, trunk, batch_of("teacher-crops").boxes, options, &heads);
  golden().compare("teacher-crops", "student", regions);
  const auto grid = trunk.grid();
  golden().compare(
      "similarities",
      "student",
      declip::context_similarity(heads, options.mode, false, grid, grid)
          .squeeze(1));
  golden().compare(
      "similarities",
      "teacher",
      declip::token_similarity(batch.vfm_features.flatten(2).transpose(1, 2)));
}

TEST(crop_embeddings_are_the_programs) {
  const auto checkpoint = weights();
  const declip::Call call;
  const declip::Weights tensors(checkpoint.tensors, at::kCPU, at::kFloat, call);
  const auto& spec = *golden().at("teacher-crops").find("inputs");
  const auto crops = golden().tensor(*spec.find("crops"));
  const c10::NoGradGuard guard;
  for (const bool fused : {false, true}) {
    declip::Numerics numerics;
    numerics.fused = fused;
    const auto tower =
        declip::make_eva_tower(checkpoint.config.vision, tensors, numerics);
    golden().compare(
        "teacher-crops",
        "teacher",
        declip::l2_normalize(
            tower->encode_image(crops, declip::Positions::kSize, call), 1));
  }
}

TEST(ensembled_weights_are_the_programs) {
  const files::TempFolder folder;
  declip::Trainer trainer(weights(), std::nullopt, options_of("declip-qq"));
  for (int i = 0; i < 3; ++i) trainer.step({batch_of("declip-qq")}, {});
  const auto path = folder.file("mixed.safetensors");
  trainer.export_checkpoint(
      path,
      *golden().at("weight-ensemble").find("options")->find("alpha")->number());
  compare_all("weight-ensemble", "", declip::load_checkpoint(path).tensors);
}

TEST(schedules_are_the_programs) {
  const auto& json = golden().at("schedules");
  const auto& options = *json.find("options");
  const auto& values = *json.find("values");
  declip::Schedule schedule;
  schedule.rate = *options.find("base_lr")->number();
  schedule.warmup = *options.find("warmup")->integer();
  schedule.total = *options.find("total_steps")->integer();
  schedule.cooldown = *options.find("cooldown_steps")->integer();
  schedule.cooldown_power = *options.find("cooldown_power")->number();
  schedule.cooldown_end = *options.find("cooldown_end")->number();
  const double rtol = *values.find("rtol")->number();
  using Kind = declip::Schedule::Kind;
  for (const auto& [name, kind] :
       {std::pair{"cosine", Kind::kCosine},
        {"const", Kind::kConstant},
        {"const_cooldown", Kind::kConstantCooldown}}) {
    schedule.kind = kind;
    const auto& expected = *values.find(name)->array();
    const auto& steps = *values.find("steps")->array();
    for (size_t i = 0; i < steps.size(); ++i) {
      const double rate = *expected[i].number();
      CHECK_CLOSE(declip::learning_rate(schedule, *steps[i].integer()),
                  rate,
                  rtol * rate);
    }
  }
}

// The trainer as a whole: states, files, options, misuse.

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "checkpoint_files.h"
#include "declip/checkpoint.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "declip/train.h"
#include "small_models.h"
#include "tap.h"
#include "tensor_maps.h"

using declip::ErrorCode;
namespace families = declip::families;
using declip::Objective;
using declip::Trainer;

using tensor_maps::apart;
using tensor_maps::copy;
using tensor_maps::same;
using tensor_maps::Tensors;

namespace {

Trainer trainer(const declip::FamilySpec* family,
                const declip::TrainOptions& options) {
  return {small::model(family), small::model(family, 2), options};
}

Tensors gradients(Trainer& trainer,
                  const std::vector<declip::TrainBatch>& parts) {
  Tensors out;
  trainer.gradients(parts, out, {});
  return out;
}

/// Relative distance between two sets of gradients.
/// What the file holds, in order of names.
std::string bytes(const Trainer& trainer, const files::TempFolder& folder) {
  const auto path = folder.file("bytes.safetensors");
  trainer.save(path);
  return files::read(path);
}

}  // namespace

TEST(every_objective_learns) {
  for (const auto family : small::kFamilies) {
    for (const auto objective : small::kObjectives) {
      auto options = small::options(objective);
      options.least_classes = 100;  // all nine, so that losses compare
      options.schedule.rate = 3e-3;
      auto t = trainer(family, options);
      const auto batch = small::batch();
      const auto first = t.step({batch}, {});
      CHECK(first.step == 1);
      CHECK_CLOSE(first.learning_rate, 1.5e-3, 1e-12);
      CHECK(first.gradient_norm > 0);
      double sum = 0;
      for (const auto& [name, loss] : first.losses) sum += loss;
      CHECK_CLOSE(first.total, sum, 1e-12);
      declip::TrainStep last;
      for (int i = 0; i < 15; ++i) last = t.step({batch}, {});
      CHECK(last.total < 0.9 * first.total);
      CHECK(t.step_count() == 16);
    }
  }
}

TEST(a_loaded_state_goes_on_bit_for_bit) {
  const files::TempFolder folder;
  for (const auto family : small::kFamilies) {
    for (const auto objective : small::kObjectives) {
      auto options = small::options(objective);
      options.ema_decay = 0.9;
      options.clip_norm = 0.5;
      const auto path = folder.file("state.safetensors");
      auto whole = trainer(family, options);
      const auto a = small::batch(1), b = small::batch(2);
      whole.step({a}, {});
      whole.step({a, b}, {});
      whole.save(path);
      auto resumed = trainer(family, options);
      resumed.step({b}, {});  // forgotten
      resumed.load(path);
      CHECK(resumed.step_count() == 2);
      for (int i = 0; i < 2; ++i) {
        const auto one = whole.step({b}, {});
        const auto other = resumed.step({b}, {});
        CHECK(one.losses == other.losses);
        CHECK(one.gradient_norm == other.gradient_norm);
        CHECK(one.step == other.step);
      }
      CHECK(same(whole.parameters(), resumed.parameters()));
      CHECK(bytes(whole, folder) == bytes(resumed, folder));
    }
  }
}

TEST(activation_checkpoints_change_no_bit) {
  for (const auto family : small::kFamilies) {
    for (const auto objective : small::kObjectives) {
      for (const std::optional<int64_t> groups :
           {std::optional<int64_t>(), std::optional<int64_t>(1)}) {
        auto options = small::options(objective);
        options.unlocked_groups = groups;
        auto kept = trainer(family, options);
        options.checkpoint_activations = true;
        auto remade = trainer(family, options);
        const auto expected = gradients(kept, {small::batch()});
        CHECK(!expected.empty());
        CHECK(same(gradients(remade, {small::batch()}), expected));
      }
    }
  }
}

TEST(captions_can_be_learnt_without_regions) {
  for (const auto family : small::kFamilies) {
    auto t = trainer(family, small::options(Objective::kContrastive));
    auto batch = small::batch();
    const auto both = t.step({batch}, {}).losses;
    CHECK(both.size() == 2 && both.contains("region_text"));
    batch.boxes = at::Tensor();
    const auto alone = t.step({batch}, {}).losses;
    CHECK(alone.size() == 1 && alone.contains("contrastive"));
  }
}

TEST(gradients_of_parts_are_averaged) {
  auto t = trainer(&families::eva, small::options(Objective::kDeClip));
  const auto a = small::batch(1), b = small::batch(2);
  const auto of_a = gradients(t, {a}), of_b = gradients(t, {b});
  Tensors mean;
  for (const auto& [name, tensor] : of_a) {
    mean.emplace(name, (tensor + of_b.at(name)) / 2);
  }
  CHECK_CLOSE(apart(gradients(t, {a, b}), mean), 0, 1e-5);
}

TEST(bfloat16_products_stay_close) {
  for (const auto family : small::kFamilies) {
    for (const auto objective : small::kObjectives) {
      auto options = small::options(objective);
      auto exact = trainer(family, options);
      options.dtype = "bfloat16";
      auto rounded = trainer(family, options);
      const auto got = gradients(rounded, {small::batch()});
      CHECK(got.begin()->second.scalar_type() == at::kFloat);
      CHECK(apart(got, gradients(exact, {small::batch()})) < 0.1);
      rounded.step({small::batch()}, {});
      CHECK(rounded.parameters().begin()->second.scalar_type() == at::kFloat);
    }
  }
}

TEST(the_average_follows_the_parameters) {
  const files::TempFolder folder;
  auto options = small::options(Objective::kClipSelf);
  options.ema_decay = 0.75;
  auto t = trainer(&families::clip, options);
  const std::string name = "visual.transformer.resblocks.2.attn.in_proj_weight";
  auto expected = t.parameters().at(name).clone();
  for (int i = 0; i < 3; ++i) {
    t.step({small::batch()}, {});
    expected = 0.75 * expected + 0.25 * t.parameters().at(name);
  }
  const auto path = folder.file("average.safetensors");
  t.export_checkpoint(path, 1.0, true);
  CHECK_CLOSE(
      distance(declip::read_safetensors(path).tensors.at(name), expected),
      0,
      1e-6);
}

TEST(exported_checkpoints_say_what_dense_mode_they_are_for) {
  const files::TempFolder folder;
  const auto path = folder.file("whole");  // a folder, which says the heads
  const auto mode = [&](const declip::TrainOptions& options) {
    trainer(&families::eva, options).export_checkpoint(path);
    return declip::load_checkpoint(path).dense_mode;
  };
  CHECK(mode(small::options(Objective::kClipSelf)) == "maskclip");
  CHECK(mode(small::options(Objective::kRegionText)) == "maskclip");
  auto context = small::options(Objective::kDeClip);
  context.mode = declip::DenseMode::kCsa;
  CHECK(mode(context) == "csa");
  auto captions = small::options(Objective::kContrastive);
  captions.region_weight = 0;
  CHECK(!mode(captions));
  captions.region_weight = 1;
  CHECK(mode(captions) == "maskclip");
}

TEST(a_text_tower_that_does_not_learn_is_kept_as_it_was_stored) {
  const files::TempFolder folder;
  auto student = small::model(&families::clip, 1);
  for (auto& [name, tensor] : student.tensors) {
    if (name.starts_with("text.")) tensor = tensor.to(at::kHalf);
  }
  const auto bytes = [&](Objective objective) {
    return declip::Trainer(student, {}, small::options(objective)).bytes();
  };
  CHECK(bytes(Objective::kClipSelf) < bytes(Objective::kContrastive));
  declip::Trainer t(student, {}, small::options(Objective::kClipSelf));
  t.step({small::batch()}, {});
  const auto path = folder.file("model.safetensors");
  t.export_checkpoint(path, 0.5);
  const auto state = folder.file("state.safetensors");
  t.save(state);
  t.load(state);
  const auto exported = declip::read_safetensors(path).tensors;
  for (const auto& [name, tensor] : student.tensors) {
    if (!name.starts_with("text.")) continue;
    CHECK(exported.contains(name.substr(5)) || exported.contains(name));
    const auto& found = exported.contains(name) ? exported.at(name)
                                                : exported.at(name.substr(5));
    CHECK(at::equal(found, tensor.to(at::kFloat)));
  }
}

TEST(exported_checkpoints_are_models) {
  const files::TempFolder folder;
  for (const auto family : small::kFamilies) {
    auto t = trainer(family, small::options(Objective::kContrastive));
    t.step({small::batch()}, {});
    const auto path = folder.file("model.safetensors");
    t.export_checkpoint(path, 0.25);
    declip::LoadOptions load;
    load.overrides.head_width = 8;
    load.overrides.text_heads = 2;
    load.overrides.activation = declip::Activation::kGelu;
    const auto checkpoint = declip::load_checkpoint(path, load.overrides);
    const auto own = t.parameters();
    const auto other = small::model(family, 2).tensors;
    CHECK(checkpoint.tensors.size() == own.size());
    for (const auto& [name, tensor] : checkpoint.tensors) {
      CHECK_CLOSE(distance(tensor, 0.25 * own.at(name) + 0.75 * other.at(name)),
                  0,
                  1e-6);
    }
    const auto model = declip::Model::load(path, load, {});
    CHECK(model->encode_image(small::batch().images, {}, {}).size(1) == 12);
    CHECK(model->encode_text(small::batch().tokens, true, {}).size(0) == 2);
    t.export_checkpoint(path);
    CHECK(same(declip::load_checkpoint(path, load.overrides).tensors, own));

    // A folder says the rest itself.
    const auto whole = folder.file("folder/of/it");
    t.export_checkpoint(whole);
    const auto read = declip::load_checkpoint(whole);
    CHECK(same(read.tensors, own));
    CHECK(read.config.vision.heads == 2);
    CHECK(read.config.text->heads == 2);
    if (family == &families::clip) {
      CHECK(read.config.vision.activation == declip::Activation::kGelu);
    }
    CHECK(read.config.pixels.mean == t.config().pixels.mean);
    CHECK_THROWS_CODE(t.export_checkpoint(path + "/folder"), ErrorCode::kIo);
  }
}

TEST(a_failed_step_changes_nothing) {
  const files::TempFolder folder;
  for (const auto objective : small::kObjectives) {
    auto options = small::options(objective);
    options.ema_decay = 0.9;
    auto t = trainer(&families::eva, options);
    t.step({small::batch()}, {});
    const auto before = bytes(t, folder);
    auto broken = small::batch(2);
    broken.images = broken.images.clone();
    broken.images[1][0][5][5] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_CODE(t.step({small::batch(3), broken}, {}),
                      ErrorCode::kDiverged);
    CHECK(bytes(t, folder) == before);

    declip::Call cancelled;
    cancelled.cancelled = std::make_shared<std::atomic<bool>>(true);
    CHECK_THROWS_CODE(t.step({small::batch()}, cancelled), ErrorCode::kAborted);
    CHECK(bytes(t, folder) == before);

    auto again = trainer(&families::eva, options);
    again.step({small::batch()}, {});
    again.step({small::batch(2)}, {});
    t.step({small::batch(2)}, {});
    CHECK(bytes(t, folder) == bytes(again, folder));
  }
}

TEST(logit_scale_stays_within_bounds) {
  auto options = small::options(Objective::kContrastive);
  auto student = small::model(&families::clip);
  student.tensors["logit_scale"] = at::full({}, 4.605f);
  options.schedule.rate = 1.0;
  options.schedule.warmup = 0;
  for (const float start : {4.605f, 0.001f}) {
    student.tensors["logit_scale"] = at::full({}, start);
    Trainer t(student, std::nullopt, options);
    for (int i = 0; i < 3; ++i) {
      t.step({small::batch()}, {});
      const double scale = t.parameters().at("logit_scale").item<double>();
      CHECK(scale >= 0 && scale <= std::log(100.0) + 1e-6);
    }
  }
}

TEST(trains_on_the_inference_thread) {
  const c10::InferenceMode guard;
  auto options = small::options(Objective::kDeClip);
  options.ema_decay = 0.5;
  auto t = trainer(&families::eva, options);
  const auto before = copy(t.parameters());
  CHECK(t.step({small::batch()}, {}).total > 0);
  CHECK(!same(t.parameters(), before));
}

TEST(without_features_there_is_no_context_loss) {
  auto t = trainer(&families::eva, small::options(Objective::kDeClip));
  auto batch = small::batch();
  CHECK(t.step({batch}, {}).losses.size() == 2);
  batch.vfm_features = at::Tensor();
  CHECK(t.step({batch}, {}).losses.size() == 1);
  // Another grid of theirs is no trouble.
  batch.vfm_features = at::rand({2, 4, 3, 7});
  CHECK(t.step({batch}, {}).losses.size() == 2);
}

TEST(foreign_states_are_refused) {
  const files::TempFolder folder;
  const auto path = folder.file("state.safetensors");
  auto t = trainer(&families::eva, small::options(Objective::kClipSelf));
  t.step({small::batch()}, {});
  t.save(path);
  const auto before = bytes(t, folder);

  auto plain = trainer(&families::clip, small::options(Objective::kClipSelf));
  CHECK_THROWS_CODE(plain.load(path), ErrorCode::kWeights);
  auto other = trainer(&families::eva, small::options(Objective::kDeClip));
  CHECK_THROWS_CODE(other.load(path), ErrorCode::kWeights);
  auto averaged = small::options(Objective::kClipSelf);
  averaged.ema_decay = 0.9;
  auto with_average = trainer(&families::eva, averaged);
  CHECK_THROWS_CODE(with_average.load(path), ErrorCode::kWeights);

  const auto state = declip::read_safetensors(path);
  const auto spoilt = folder.file("spoilt.safetensors");
  const auto refuse = [&](const std::map<std::string, at::Tensor>& tensors,
                          const std::map<std::string, std::string>& metadata) {
    declip::write_safetensors(spoilt, tensors, metadata);
    CHECK_THROWS_CODE(t.load(spoilt), ErrorCode::kWeights);
    CHECK(bytes(t, folder) == before);
  };
  refuse(state.tensors, {});
  for (const char* key : {"format", "step", "random", "objective"}) {
    auto metadata = state.metadata;
    metadata[key] = "-1";
    refuse(state.tensors, metadata);
  }
  for (const char* name : {"parameters.visual.norm.weight",
                           "exp_avg.visual.blocks.2.norm1.weight",
                           "steps.visual.blocks.2.norm1.weight"}) {
    auto tensors = state.tensors;
    tensors.erase(name);
    refuse(tensors, state.metadata);
    tensors[name] = at::zeros({3});
    refuse(tensors, state.metadata);
    tensors[name] = at::full_like(state.tensors.at(name), NAN);
    refuse(tensors, state.metadata);
  }
  CHECK_THROWS_CODE(t.load(folder.file("none")), ErrorCode::kIo);
  CHECK_THROWS_CODE(t.save(folder.file("none/state.safetensors")),
                    ErrorCode::kIo);
}

TEST(wrong_options_are_refused) {
  const auto refuse =
      [](const std::function<void(declip::TrainOptions&)>& spoil,
         Objective objective = Objective::kDeClip) {
        auto options = small::options(objective);
        spoil(options);
        CHECK_THROWS_CODE(trainer(&families::eva, options),
                          ErrorCode::kInvalidArg);
      };
  using Options = declip::TrainOptions;
  refuse([](Options& o) { o.mode = declip::DenseMode::kVanilla; });
  refuse([](Options& o) { o.dtype = "float16"; });
  refuse([](Options& o) { o.beta1 = 1; });
  refuse([](Options& o) { o.beta2 = -0.1; });
  refuse([](Options& o) { o.epsilon = -1; });
  refuse([](Options& o) { o.weight_decay = NAN; });
  refuse([](Options& o) { o.clip_norm = -1; });
  refuse([](Options& o) { o.ema_decay = 1.5; });
  refuse([](Options& o) { o.context_weight = INFINITY * 0; });
  refuse([](Options& o) { o.unlocked_groups = 0; });
  refuse([](Options& o) { o.device = "gpu"; });
  refuse([](Options& o) { o.schedule.rate = -1; });
  refuse([](Options& o) { o.class_features = at::Tensor(); },
         Objective::kRegionText);
  refuse([](Options& o) { o.class_features = at::ones({4, 5}); },
         Objective::kRegionText);

  auto vision = small::model(&families::clip);
  vision.config.text.reset();
  CHECK_THROWS_CODE(
      Trainer(vision, std::nullopt, small::options(Objective::kContrastive)),
      ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(Trainer(small::model(&families::clip),
                            small::model(&families::eva),
                            small::options(Objective::kClipSelf)),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::objective_from("DeCLIP"), ErrorCode::kInvalidArg);
  for (const auto objective : small::kObjectives) {
    CHECK(declip::objective_from(declip::objective_name(objective)) ==
          objective);
  }
  const files::TempFolder folder;
  auto t = trainer(&families::eva, small::options(Objective::kClipSelf));
  CHECK_THROWS_CODE(t.export_checkpoint(folder.file("a"), 1.5),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(t.export_checkpoint(folder.file("a"), 1, true),
                    ErrorCode::kInvalidArg);
}

TEST(students_and_pretrained_models_of_nan_are_refused) {
  const files::TempFolder folder;
  const auto checkpoint = [&](double value) {
    auto t = trainer(&families::eva, small::options(Objective::kClipSelf));
    const auto path = folder.file(c10::str(value, ".safetensors"));
    t.export_checkpoint(path, 1, false);
    auto file = declip::read_safetensors(path);
    file.tensors.at("visual.norm.bias").flatten()[1] = value;
    declip::write_safetensors(path, file.tensors, file.metadata);
    declip::ConfigOverrides overrides;
    overrides.head_width = 8;
    overrides.text_heads = 2;
    return declip::load_checkpoint(path, overrides);
  };
  const auto good = checkpoint(0), bad = checkpoint(INFINITY);
  const auto options = small::options(Objective::kClipSelf);
  for (const auto& [student, pretrained] :
       {std::pair(bad, good), {good, bad}}) {
    const auto why = CHECK_THROWS_CODE(Trainer(student, pretrained, options),
                                       ErrorCode::kWeights);
    CHECK(why.find("\"visual.norm.bias\" holds NaN") != std::string::npos);
  }
}

TEST(foundation_models_are_no_students) {
  const auto sam =
      declip::load_checkpoint(files::fixture("vfm/sam.safetensors"));
  CHECK_THROWS_CODE(Trainer(sam, std::nullopt, {}), ErrorCode::kWeights);
}

TEST(wrong_batches_are_refused) {
  const auto refuse =
      [](Objective objective,
         const std::function<void(declip::TrainBatch&)>& spoil) {
        auto t = trainer(&families::eva, small::options(objective));
        auto batch = small::batch();
        spoil(batch);
        CHECK_THROWS_CODE(t.step({batch}, {}), ErrorCode::kInvalidArg);
        CHECK(t.step_count() == 0);
      };
  using Batch = declip::TrainBatch;
  const auto kDeclip = Objective::kDeClip;
  refuse(kDeclip, [](Batch& b) { b.images = at::Tensor(); });
  refuse(kDeclip, [](Batch& b) { b.images = at::zeros({2, 3, 7, 40}); });
  refuse(kDeclip, [](Batch& b) { b.images = b.images.to(at::kByte); });
  refuse(kDeclip, [](Batch& b) { b.boxes = at::Tensor(); });
  refuse(kDeclip, [](Batch& b) { b.boxes = b.boxes.slice(0, 0, 1); });
  refuse(kDeclip, [](Batch& b) { b.boxes = b.boxes.slice(2, 0, 4); });
  refuse(kDeclip, [](Batch& b) { b.boxes = at::zeros({2, 3, 5}); });
  refuse(kDeclip, [](Batch& b) {
    b.boxes = b.boxes.clone();
    b.boxes[0][0][2] = NAN;
  });
  refuse(kDeclip, [](Batch& b) { b.crops = b.crops.slice(0, 1); });
  refuse(kDeclip, [](Batch& b) { b.crops = at::Tensor(); });
  refuse(kDeclip, [](Batch& b) { b.vfm_features = at::zeros({1, 4, 5, 5}); });
  refuse(Objective::kRegionText, [](Batch& b) { b.labels = at::Tensor(); });
  refuse(Objective::kContrastive, [](Batch& b) { b.labels = at::Tensor(); });
  refuse(Objective::kContrastive,
         [](Batch& b) { b.region_tokens = at::Tensor(); });
  refuse(Objective::kContrastive,
         [](Batch& b) { b.region_tokens = b.region_tokens.slice(0, 0, 5); });
  refuse(Objective::kRegionText, [](Batch& b) { b.labels = b.labels + 9; });
  refuse(Objective::kRegionText,
         [](Batch& b) { b.labels = b.labels.to(at::kFloat); });
  refuse(Objective::kContrastive, [](Batch& b) { b.tokens = at::Tensor(); });
  refuse(Objective::kContrastive,
         [](Batch& b) { b.tokens = b.tokens.slice(0, 1); });
  refuse(Objective::kContrastive, [](Batch& b) { b.tokens = b.tokens + 90; });
  auto t = trainer(&families::eva, small::options(kDeclip));
  CHECK_THROWS_CODE(t.step({}, {}), ErrorCode::kInvalidArg);
}

TEST(structured_weights_begin_with_a_basis_and_alike_heads) {
  auto config = small::model(&families::clip).config;
  config.vision.width = 48;  // 3 colours, 4 x 4 pixels
  config.vision.mlp_hidden = 96;
  config.vision.heads = 4;
  config.vision.patch = 4;
  config.vision.image_size = 4 * config.vision.grid;
  const auto tensors =
      declip::initial_checkpoint(config, 4, declip::Start::kStructured).tensors;
  const auto filters = tensors.at("visual.conv1.weight").flatten(1);
  const auto unit = filters / filters.norm(2, {1}, true);
  // Colours are given to three digits, hence the tolerance.
  CHECK_CLOSE(
      distance(at::matmul(unit, unit.t()), at::eye(48, at::kFloat)), 0, 2e-3);
  CHECK(filters[47].norm().item<double>() > filters[0].norm().item<double>());
  const auto stacked =
      tensors.at("visual.transformer.resblocks.1.attn.in_proj_weight");
  CHECK(at::equal(stacked.slice(0, 0, 48), stacked.slice(0, 48, 96)));
  CHECK(!at::equal(stacked.slice(0, 0, 48), stacked.slice(0, 96)));
  const auto places = tensors.at("visual.positional_embedding");
  CHECK(places[0].count_nonzero().item<int64_t>() == 0);
  // Alike where they are near: the next token, the one below, the far corner.
  const auto near = [&](int64_t i) {
    return places[1].dot(places[1 + i]).item<double>();
  };
  const auto grid = config.vision.grid;
  CHECK_CLOSE(near(1), near(grid), 1e-4);
  CHECK(near(0) > near(1) && near(1) > near(grid * grid - 1));

  CHECK_THROWS_CODE(
      declip::initial_checkpoint(
          small::model(&families::eva).config, 1, declip::Start::kStructured),
      ErrorCode::kInvalidArg);
}

TEST(new_models_are_the_same_for_the_same_seed) {
  const auto config = small::config(&families::clip);
  const auto one = declip::initial_checkpoint(config, 4).tensors;
  CHECK(same(one, declip::initial_checkpoint(config, 4).tensors));
  CHECK(!same(one, declip::initial_checkpoint(config, 5).tensors));
  auto wrong = config;
  wrong.vision.heads = 3;
  CHECK_THROWS_CODE(declip::initial_checkpoint(wrong, 1),
                    ErrorCode::kInvalidArg);
  wrong = config;
  wrong.text->embed_dim = 8;
  CHECK_THROWS_CODE(declip::initial_checkpoint(wrong, 1),
                    ErrorCode::kInvalidArg);
}

// The trainer of detectors as a whole: states, files, ranks, misuse.

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/checkpoint.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "declip/train_detector.h"
#include "rank_threads.h"
#include "small_detectors.h"
#include "tap.h"
#include "tensor_maps.h"

using declip::DetectorBatch;
using declip::DetectorTrainer;
using declip::ErrorCode;
namespace families = declip::families;

using tensor_maps::apart;
using tensor_maps::copy;
using tensor_maps::same;
using tensor_maps::Tensors;

namespace {

DetectorTrainer detector_trainer(const declip::FamilySpec* family,
                                 const declip::DetectorTrainOptions& options) {
  return {small::model(family), options};
}

Tensors detector_gradients(DetectorTrainer& trainer,
                           const std::vector<DetectorBatch>& parts) {
  Tensors out;
  trainer.gradients(parts, out, {});
  return out;
}

std::string state_bytes(const DetectorTrainer& trainer,
                        const files::TempFolder& folder) {
  const auto path = folder.file("bytes.safetensors");
  trainer.save(path);
  return files::read(path);
}

/// What two sets of tensors have of the same kind, running statistics apart.
Tensors floating(const Tensors& tensors) {
  Tensors out;
  for (const auto& [name, tensor] : tensors) {
    if (at::isFloatingType(tensor.scalar_type())) {
      out.emplace(name, tensor.to(at::kDouble));
    }
  }
  return out;
}

}  // namespace

TEST(new_heads_learn_on_both_towers) {
  for (const auto family : small::kFamilies) {
    for (const bool lvis : {false, true}) {
      auto options = small::detector_options(lvis);
      options.schedule.rate = 3e-3;
      auto t = detector_trainer(family, options);
      const auto batch = small::detector_batch({1, 2, 3}, lvis);
      const auto first = t.step({batch}, {});
      CHECK(first.step == 1);
      CHECK_CLOSE(first.learning_rate, 1.5e-3, 1e-12);
      CHECK(first.losses.size() == (lvis ? 5U : 4U));
      double sum = 0;
      for (const auto& [name, loss] : first.losses) sum += loss;
      CHECK_CLOSE(first.total, sum, 1e-12);
      declip::TrainStep last;
      for (int i = 0; i < 25; ++i) last = t.step({batch}, {});
      CHECK(last.total < 0.8 * first.total);
      CHECK(t.step_count() == 26);
    }
  }
}

TEST(the_same_seed_begins_the_same_and_another_otherwise) {
  auto options = small::detector_options(true);
  const auto a = detector_trainer(&families::clip, options).parameters();
  CHECK(same(a, detector_trainer(&families::clip, options).parameters()));
  options.seed = 1;
  CHECK(!same(a, detector_trainer(&families::clip, options).parameters()));
  CHECK_CLOSE(a.at("rpn_head.rpn_conv.0.conv.weight").std().item<double>(),
              0.01,
              0.002);
  CHECK(a.at("roi_head.bbox_head.detect_temperature").item<double>() == 10);
  CHECK_CLOSE(a.at("roi_head.bbox_head.all_embeddings")
                  .norm(2, {0})
                  .sub(1)
                  .abs()
                  .max()
                  .item<double>(),
              0,
              1e-6);
}

TEST(kept_maps_are_those_of_the_step) {
  auto t = detector_trainer(&families::eva, small::detector_options());
  auto batch = small::detector_batch({1, 2, 3});
  const auto expected = detector_gradients(t, {batch});
  std::vector<std::vector<at::Tensor>> levels(4);
  for (int64_t i = 0; i < 3; ++i) {
    const auto maps = t.tower_maps(batch.images.slice(0, i, i + 1), {});
    for (size_t l = 0; l < 4; ++l) levels[l].push_back(maps[l].contiguous());
  }
  for (const auto& maps : levels) batch.maps.push_back(at::cat(maps));
  batch.images = at::Tensor();
  CHECK(same(detector_gradients(t, {batch}), expected));
}

TEST(a_loaded_detector_state_goes_on_bit_for_bit) {
  const files::TempFolder folder;
  for (const bool lvis : {false, true}) {
    auto options = small::detector_options(lvis);
    options.ema_decay = 0.9;
    options.clip_norm = 0.5;
    const auto path = folder.file("state.safetensors");
    auto whole = detector_trainer(&families::clip, options);
    const auto a = small::detector_batch({1, 2}, lvis),
               b = small::detector_batch({4, 7}, lvis);
    whole.step({a}, {});
    whole.step({a, b}, {});
    whole.save(path);
    auto resumed = detector_trainer(&families::clip, options);
    resumed.step({b}, {});  // forgotten
    resumed.load(path);
    CHECK(resumed.step_count() == 2);
    for (int i = 0; i < 2; ++i) {
      const auto one = whole.step({b}, {});
      const auto other = resumed.step({b}, {});
      CHECK(one.losses == other.losses);
      CHECK(one.gradient_norm == other.gradient_norm);
    }
    CHECK(same(whole.parameters(), resumed.parameters()));
    CHECK(state_bytes(whole, folder) == state_bytes(resumed, folder));

    auto others = options;
    others.words = options.words + 0.5;
    auto stranger = detector_trainer(&families::clip, others);
    const auto before = copy(stranger.parameters());
    CHECK_THROWS_CODE(stranger.load(path), ErrorCode::kWeights);
    CHECK(same(stranger.parameters(), before));
  }
}

TEST(pictures_without_boxes_teach_what_is_background) {
  for (const bool lvis : {false, true}) {
    auto t = detector_trainer(&families::clip, small::detector_options(lvis));
    const auto batch = small::detector_batch({4, 8}, lvis);  // none in either
    CHECK(batch.samples[0].boxes.size(0) == 0);
    const auto first = t.step({batch}, {});
    CHECK(first.losses.at("rpn_bbox") == 0);
    CHECK(first.losses.at("bbox") == 0);
    if (lvis) CHECK(first.losses.at("mask") == 0);
    declip::TrainStep last;
    for (int i = 0; i < 10; ++i) last = t.step({batch}, {});
    CHECK(last.total < first.total);
  }
}

TEST(parts_of_a_detector_step_are_averaged_and_move_the_norms_in_turn) {
  auto t = detector_trainer(&families::clip, small::detector_options(true));
  const auto a = small::detector_batch({1, 2}, true),
             b = small::detector_batch({3, 5}, true);
  const auto of_a = detector_gradients(t, {a}),
             of_b = detector_gradients(t, {b});
  Tensors mean;
  for (const auto& [name, gradient] : of_a) {
    mean[name] = (gradient + of_b.at(name)) / 2;
  }
  CHECK(apart(detector_gradients(t, {a, b}), mean) < 1e-5);
  const auto counter = [&](const char* name) {
    return t.parameters()
        .at(std::string(name) + ".num_batches_tracked")
        .item<int64_t>();
  };
  CHECK(counter("neck.lateral_convs.0.bn") == 0);
  t.step({a, b}, {});
  CHECK(counter("neck.lateral_convs.0.bn") == 2);
  CHECK(counter("rpn_head.rpn_conv.1.bn") == 10);
}

TEST(a_failed_detector_step_changes_nothing) {
  const files::TempFolder folder;
  auto t = detector_trainer(&families::clip, small::detector_options());
  const auto good = small::detector_batch({1, 2});
  t.step({good}, {});
  const auto before = state_bytes(t, folder);
  auto bad = small::detector_batch({3, 5});
  bad.images[0][0][0][0] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_CODE(t.step({good, bad}, {}), ErrorCode::kDiverged);
  CHECK(state_bytes(t, folder) == before);
  declip::Call cancelled;
  cancelled.cancelled = std::make_shared<std::atomic<bool>>(true);
  CHECK_THROWS_CODE(t.step({good}, cancelled), ErrorCode::kAborted);
  CHECK(state_bytes(t, folder) == before);
}

TEST(batches_that_nothing_can_be_learned_from_are_refused) {
  auto t = detector_trainer(&families::clip, small::detector_options(true));
  const auto refused = [&](const std::string& word, auto&& spoil) {
    auto batch = small::detector_batch({1, 2, 3}, true);
    spoil(batch);
    const auto message =
        CHECK_THROWS_CODE(t.step({batch}, {}), ErrorCode::kInvalidArg);
    const tap::Case which(word + ": " + message);
    CHECK(files::contains(message, word));
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  refused("novel", [](auto& b) { b.samples[1].labels[0] = 2; });
  refused("'kite'", [](auto& b) { b.samples[1].labels[0] = 2; });
  refused("0..3", [](auto& b) { b.samples[1].labels[0] = 4; });
  refused("Box 1 of picture 1",
          [&](auto& b) { b.samples[1].boxes[1][2] = nan; });
  refused("within the square",
          [](auto& b) { b.samples[2].boxes[0][3] = 65.0; });
  refused("area", [](auto& b) { b.samples[2].boxes[0][2] = 0.0; });
  refused("masks", [](auto& b) { b.samples[0].masks = at::Tensor(); });
  refused("as many samples", [](auto& b) { b.samples.pop_back(); });
  refused("multiple of 8",
          [](auto& b) { b.images = at::zeros({3, 3, 60, 60}); });
  refused("maps must be 4",
          [](auto& b) { b.maps = {at::zeros({3, 16, 8, 8})}; });
  refused("pixels wide", [](auto& b) { b.samples[0].size.width = 65; });
  CHECK(t.step_count() == 0);
  CHECK_THROWS_CODE(t.step({}, {}), ErrorCode::kInvalidArg);
}

TEST(options_that_do_not_fit_are_refused) {
  const auto refused = [](const std::string& word, auto&& spoil) {
    auto options = small::detector_options();
    spoil(options);
    const auto message = CHECK_THROWS_CODE(
        detector_trainer(&families::clip, options), ErrorCode::kInvalidArg);
    const tap::Case which(word + ": " + message);
    CHECK(files::contains(message, word));
  };
  refused("words", [](auto& o) { o.words = at::Tensor(); });
  refused("[K + 1, 12]", [](auto& o) { o.words = at::zeros({5, 13}); });
  refused("classes", [](auto& o) { o.classes.pop_back(); });
  refused("'fish'", [](auto& o) { o.novel = {"fish"}; });
  refused("nothing to learn", [](auto& o) { o.novel = o.classes; });
  refused("blocks", [](auto& o) { o.blocks = {0, 1}; });
  refused("0..2", [](auto& o) { o.blocks = {0, 1, 2, 3}; });
  refused("side", [](auto& o) { o.side = 60; });
  refused("channels", [](auto& o) { o.channels = 0; });
  refused("boxSamples", [](auto& o) { o.box_samples = 0; });
  refused("dtype", [](auto& o) { o.dtype = "float16"; });
}

TEST(an_exported_detector_is_loaded_and_learns_on) {
  const files::TempFolder folder;
  for (const auto family : small::kFamilies) {
    for (const bool lvis : {false, true}) {
      auto options = small::detector_options(lvis);
      options.ema_decay = 0.5;
      options.alpha = 0.2;
      // All there are, so that nothing is drawn.
      options.rpn_samples = options.box_samples = 100'000;
      options.rpn_positive_share = options.box_positive_share = 1;
      auto t = detector_trainer(family, options);
      t.step({small::detector_batch({1, 2}, lvis)}, {});
      // A folder, whose configuration says what weights cannot: heads of 8.
      const auto path =
          folder.file(std::string(family->name) + (lvis ? "-lvis" : "-coco"));
      t.export_checkpoint(path);
      const auto read = declip::load_checkpoint(path);
      CHECK(read.detector_fault.empty());
      CHECK(read.detector != nullptr);
      if (!read.detector) continue;
      const auto& config = read.detector->config;
      CHECK(config.names == options.classes);
      CHECK(config.novel == options.novel);
      CHECK(config.blocks == options.blocks);
      CHECK(config.side == options.side);
      CHECK(config.masks == lvis && config.rpn_norm == lvis);
      CHECK(config.channels == 8 && config.hidden == 16);
      CHECK(config.classes == 4);
      const auto student = small::model(family);
      CHECK(same(read.tensors, student.tensors));

      auto more = options;
      more.words = at::Tensor();
      more.blocks.clear();
      more.classes.clear();
      more.novel.clear();
      DetectorTrainer again(read, more);
      CHECK(same(again.parameters(), t.parameters()));
      CHECK(again.options().classes == options.classes);
      CHECK(again.options().novel == options.novel);
      const auto batch = small::detector_batch({3, 5}, lvis);
      CHECK(same(detector_gradients(again, {batch}),
                 detector_gradients(t, {batch})));

      t.export_checkpoint(path, true);
      const auto average = declip::load_checkpoint(path);
      const auto name = "rpn_head.rpn_cls.weight";
      CHECK(average.detector && !at::equal(average.detector->tensors.at(name),
                                           t.parameters().at(name)));
    }
  }
  auto plain = detector_trainer(&families::clip, small::detector_options());
  CHECK_THROWS_CODE(plain.export_checkpoint(folder.file("x"), true),
                    ErrorCode::kInvalidArg);
}

TEST(bfloat16_products_are_near_float32) {
  auto options = small::detector_options(true);
  // So that no rounding of scores chooses other proposals: there is one level
  // of them all.
  options.proposals = options.per_level = 1000;
  options.proposal_nms = 1;
  auto exact = detector_trainer(&families::eva, options);
  options.dtype = "bfloat16";
  auto rounded = detector_trainer(&families::eva, options);
  const auto batch = small::detector_batch({1, 2, 3}, true);
  Tensors a, b;
  const auto one = exact.gradients({batch}, a, {});
  const auto other = rounded.gradients({batch}, b, {});
  for (const auto& [name, loss] : one.losses) {
    const tap::Case which(name);
    CHECK_CLOSE(other.losses.at(name), loss, 0.1 * loss + 0.02);
  }
  for (const auto& [name, tensor] : b) {
    CHECK(tensor.scalar_type() == at::kFloat);
  }
  CHECK(rounded.step({batch}, {}).step == 1);
}

#ifdef __linux__

namespace {

struct LearntDetector {
  Tensors parameters;
  std::vector<declip::TrainStep> steps;
  std::string state;
};

std::vector<LearntDetector> learn_detectors(
    int size,
    const declip::DetectorTrainOptions& options,
    int steps,
    const std::function<DetectorBatch(int, int)>& batch) {
  std::vector<LearntDetector> out(static_cast<size_t>(size));
  const files::TempFolder folder;
  const auto ends = ranks::run(size, [&](const ranks::Group& group) {
    const int rank = group ? group->rank() : 0;
    auto& mine = out[static_cast<size_t>(rank)];
    DetectorTrainer trainer(small::model(&families::clip), options, group);
    for (int i = 0; i < steps; ++i) {
      mine.steps.push_back(trainer.step({batch(i, rank)}, {}));
    }
    mine.parameters = trainer.parameters();
    const auto path = folder.file(std::to_string(rank) + ".safetensors");
    trainer.save(path);
    mine.state = files::read(path);
  });
  for (const auto& end : ends) {
    if (!end.message.empty()) throw std::runtime_error(end.message);
  }
  return out;
}

}  // namespace

TEST(ranks_of_a_detector_learn_as_one_process_with_all_pictures) {
  for (const bool lvis : {false, true}) {
    auto options = small::detector_options(lvis);
    options.clip_norm = 0.5;
    // Pictures of both ranks; in the second step one rank has no boxes at all.
    const std::vector<std::vector<std::vector<uint64_t>>> seeds{{{1, 2}, {3}},
                                                                {{5, 6}, {4}}};
    const auto one = learn_detectors(1, options, 2, [&](int step, int) {
      std::vector<uint64_t> all;
      for (const auto& own : seeds[static_cast<size_t>(step)]) {
        all.insert(all.end(), own.begin(), own.end());
      }
      return small::detector_batch(all, lvis);
    });
    const auto two = learn_detectors(2, options, 2, [&](int step, int rank) {
      return small::detector_batch(
          seeds[static_cast<size_t>(step)][static_cast<size_t>(rank)], lvis);
    });
    CHECK(two[0].state == two[1].state);
    for (size_t i = 0; i < 2; ++i) {
      for (const auto& [name, loss] : one[0].steps[i].losses) {
        const tap::Case which(name);
        CHECK_CLOSE(two[0].steps[i].losses.at(name), loss, 1e-4 * loss + 1e-6);
      }
      CHECK_CLOSE(two[0].steps[i].gradient_norm,
                  one[0].steps[i].gradient_norm,
                  1e-3 * one[0].steps[i].gradient_norm);
    }
    // AdamW makes steps of random sign of gradients that are rounding noise.
    auto a = floating(two[0].parameters), b = floating(one[0].parameters);
    for (const char* noise : {"backbone.interpolate1.0.bias",
                              "backbone.interpolate1.3.bias",
                              "backbone.interpolate2.0.bias"}) {
      a.erase(noise);
      b.erase(noise);
    }
    CHECK(apart(a, b) < 1e-3);
  }
}

TEST(a_rank_of_a_detector_that_fails_takes_no_other_a_step_further) {
  const auto options = small::detector_options();
  for (const bool diverges : {false, true}) {
    const auto ends = ranks::run(2, [&](const ranks::Group& group) {
      DetectorTrainer trainer(small::model(&families::clip), options, group);
      auto batch = small::detector_batch({1, 2});
      if (group->rank() == 1 && !diverges) batch.samples[0].labels[0] = 2;
      if (group->rank() == 1 && diverges) {
        batch.images[0][0][0][0] = std::numeric_limits<float>::quiet_NaN();
      }
      const auto before = copy(trainer.parameters());
      const auto end = ranks::end_of([&] { trainer.step({batch}, {}); });
      CHECK(!end.message.empty());
      CHECK(trainer.step_count() == 0);
      CHECK(same(trainer.parameters(), before));
      // And they go on together.
      trainer.step({small::detector_batch({3, 5})}, {});
    });
    for (const auto& end : ends) {
      const tap::Case which(end.message);
      CHECK(end.message.empty());
    }
  }
}

#endif

// Training in several processes: ranks against the one process that has all
// their batches.

#ifdef __linux__

#include "train/ranks.h"

#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/train.h"
#include "rank_threads.h"
#include "small_models.h"
#include "tap.h"
#include "tensor_maps.h"

using declip::ErrorCode;
namespace families = declip::families;
using declip::Objective;
using declip::TrainBatch;
using declip::Trainer;
using ranks::Group;

using tensor_maps::apart;
using tensor_maps::same;
using tensor_maps::Tensors;

namespace {

int rank_of(const Group& group) { return group ? group->rank() : 0; }

/// What a rank has learnt.
struct Learnt {
  Tensors parameters;
  std::vector<declip::TrainStep> steps;
  std::string state;  // bytes of the file
};

declip::TrainOptions options_for(Objective objective) {
  auto options = small::options(objective);
  options.clip_norm = 0.5;
  options.ema_decay = 0.9;
  return options;
}

/// `steps` steps of `size` ranks; batches(step, rank, size) are a rank's.
std::vector<Learnt> learn(
    int size,
    const declip::FamilySpec* family,
    const declip::TrainOptions& options,
    int steps,
    const std::function<std::vector<TrainBatch>(int, int, int)>& batches) {
  std::vector<Learnt> out(static_cast<size_t>(size));
  const files::TempFolder folder;
  const auto ends = ranks::run(size, [&](const Group& group) {
    const int rank = rank_of(group);
    auto& mine = out[static_cast<size_t>(rank)];
    Trainer trainer(
        small::model(family), small::model(family, 2), options, group);
    for (int i = 0; i < steps; ++i) {
      mine.steps.push_back(trainer.step(batches(i, rank, size), {}));
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

uint64_t seed_of(int step, int rank) {
  return static_cast<uint64_t>(10 * step + rank + 1);
}

/// Parts of the one process: those of `size` ranks, in their order.
std::vector<TrainBatch> parts_of(int step, int size) {
  std::vector<TrainBatch> out;
  for (int rank = 0; rank < size; ++rank) {
    out.push_back(small::batch(seed_of(step, rank)));
  }
  return out;
}

/// The batches of several ranks as one.
TrainBatch joined(const std::vector<TrainBatch>& parts) {
  const auto all = [&](at::Tensor TrainBatch::* member) {
    std::vector<at::Tensor> tensors;
    for (const auto& part : parts) tensors.push_back(part.*member);
    return at::cat(tensors);
  };
  TrainBatch out;
  out.images = all(&TrainBatch::images);
  out.boxes = all(&TrainBatch::boxes);
  out.labels = all(&TrainBatch::labels);
  out.tokens = all(&TrainBatch::tokens);
  out.region_tokens = parts[0].region_tokens;
  return out;
}

Tensors gradients_of(int size,
                     const declip::TrainOptions& options,
                     const std::function<std::vector<TrainBatch>(int)>& parts,
                     declip::TrainStep* step) {
  Tensors out;
  const auto ends = ranks::run(size, [&](const Group& group) {
    Trainer trainer(small::model(&families::eva), {}, options, group);
    Tensors own;
    const auto result = trainer.gradients(parts(rank_of(group)), own, {});
    if (rank_of(group) != size - 1) return;
    out = own;
    *step = result;
  });
  for (const auto& end : ends) {
    if (!end.message.empty()) throw std::runtime_error(end.message);
  }
  return out;
}

}  // namespace

TEST(two_ranks_learn_what_one_process_does_to_the_bit) {
  // a + b has one result in either order, so nothing is lost on the way.
  for (const auto family : small::kFamilies) {
    for (const auto objective : small::kObjectives) {
      if (objective == Objective::kContrastive) continue;  // below
      const auto options = options_for(objective);
      const auto two =
          learn(2, family, options, 3, [](int step, int rank, int) {
            return std::vector{small::batch(seed_of(step, rank))};
          });
      const auto one = learn(1, family, options, 3, [](int step, int, int) {
        return parts_of(step, 2);
      });
      CHECK(two[0].state == one[0].state);
      CHECK(two[1].state == one[0].state);
      for (size_t i = 0; i < 3; ++i) {
        for (const auto& rank : two) {
          CHECK(rank.steps[i].losses == one[0].steps[i].losses);
          CHECK(rank.steps[i].total == one[0].steps[i].total);
          CHECK(rank.steps[i].gradient_norm == one[0].steps[i].gradient_norm);
        }
      }
    }
  }
}

TEST(three_ranks_and_several_parts_differ_by_rounding_alone) {
  // Three numbers are not summed in the order of the one process.
  for (const auto objective : small::kObjectives) {
    if (objective == Objective::kContrastive) continue;
    const auto options = small::options(objective);
    declip::TrainStep got, expected;
    const auto ranks = gradients_of(
        3,
        options,
        [](int rank) {
          return std::vector{small::batch(seed_of(0, rank)),
                             small::batch(seed_of(1, rank))};
        },
        &got);
    const auto whole = gradients_of(
        1,
        options,
        [](int) {
          auto parts = parts_of(0, 3);
          for (auto& part : parts_of(1, 3)) parts.push_back(part);
          return parts;
        },
        &expected);
    CHECK(!whole.empty());
    CHECK_CLOSE(apart(ranks, whole), 0, 1e-6);
    CHECK_CLOSE(got.total, expected.total, 1e-12);
    CHECK(got.losses.size() == expected.losses.size());
  }
}

TEST(captions_of_all_ranks_are_one_batch) {
  // Its products are over other numbers of rows, so sums differ by rounding.
  for (const int size : {2, 3}) {
    const auto options = small::options(Objective::kContrastive);
    declip::TrainStep got, expected;
    const auto ranks = gradients_of(
        size,
        options,
        [](int rank) {
          return std::vector{small::batch(seed_of(0, rank)),
                             small::batch(seed_of(1, rank))};
        },
        &got);
    const auto whole = gradients_of(
        1,
        options,
        [&](int) {
          return std::vector{joined(parts_of(0, size)),
                             joined(parts_of(1, size))};
        },
        &expected);
    CHECK(whole.size() > 50 && whole.contains("logit_scale"));
    CHECK_CLOSE(apart(ranks, whole), 0, 3e-6);
    CHECK(got.losses.size() == 2);
    for (const auto& [name, loss] : expected.losses) {
      CHECK_CLOSE(got.losses.at(name), loss, 1e-5);
    }
  }
}

TEST(all_ranks_hold_the_same_after_contrastive_steps) {
  const auto two =
      learn(2,
            &families::clip,
            options_for(Objective::kContrastive),
            3,
            [](int step, int rank, int) {
              return std::vector{small::batch(seed_of(step, rank))};
            });
  CHECK(two[0].state == two[1].state);
}

TEST(a_rank_without_regions_adds_nothing_to_their_loss) {
  const auto options = small::options(Objective::kContrastive);
  const auto batch = [](int rank, bool regions) {
    auto out = small::batch(seed_of(0, rank));
    if (!regions) out.boxes = at::Tensor();
    return out;
  };
  declip::TrainStep both, one;
  gradients_of(
      2,
      options,
      [&](int rank) { return std::vector{batch(rank, rank == 0)}; },
      &one);
  gradients_of(
      1, options, [&](int) { return std::vector{batch(0, true)}; }, &both);
  CHECK_CLOSE(
      one.losses.at("region_text"), both.losses.at("region_text") / 2, 1e-12);
}

/// Without the text tower, which CLIPSelf does not use.
Tensors used(Tensors tensors) {
  std::erase_if(tensors,
                [](const auto& one) { return one.first.starts_with("text."); });
  return tensors;
}

TEST(all_ranks_start_from_the_first_ones_weights) {
  std::vector<Tensors> parameters(2);
  const auto options = small::options(Objective::kClipSelf);
  const auto ends = ranks::run(2, [&](const Group& group) {
    const auto seed = static_cast<uint64_t>(group->rank() + 1);
    Trainer trainer(small::model(&families::eva, seed), {}, options, group);
    parameters[static_cast<size_t>(group->rank())] = used(trainer.parameters());
  });
  CHECK(ends[0].message.empty() && ends[1].message.empty());
  CHECK(same(parameters[0], used(small::model(&families::eva, 1).tensors)));
  CHECK(same(parameters[1], parameters[0]));
}

TEST(gradients_that_a_rank_lacks_are_zero) {
  std::vector<std::vector<at::Tensor>> got(2);
  const auto ends = ranks::run(2, [&](const Group& group) {
    const int rank = group->rank();
    // More than one buffer, of 25 MiB.
    const int64_t large = (26 << 20) / 4;
    std::vector<declip::Parameter> parameters;
    for (int64_t i = 0; i < 4; ++i) {
      parameters.push_back(
          {"p", at::zeros({i == 1 ? large : 3}).requires_grad_()});
    }
    const auto give = [&](size_t i, double value) {
      auto& parameter = parameters[i].value;
      parameter.mutable_grad() = at::full(parameter.sizes(), value);
    };
    if (rank == 0) give(0, 2);
    give(1, rank + 1);
    if (rank == 1) give(2, 5);
    declip::Ranks(group).sum_gradients(parameters, {});
    for (const auto& parameter : parameters) {
      got[static_cast<size_t>(rank)].push_back(parameter.value.grad());
    }
  });
  CHECK(ends[0].message.empty() && ends[1].message.empty());
  for (const auto& gradients : got) {
    CHECK(gradients.size() == 4);
    CHECK(gradients[0].eq(2).all().item<bool>());
    CHECK(gradients[1].eq(3).all().item<bool>());
    CHECK(gradients[2].eq(5).all().item<bool>());
    CHECK(!gradients[3].defined());
  }
}

TEST(a_state_that_one_rank_saved_goes_on_at_all) {
  const files::TempFolder folder;
  const auto path = folder.file("state.safetensors");
  const auto options = options_for(Objective::kRegionText);
  const auto batches = [](int step, int rank, int) {
    return std::vector{small::batch(seed_of(step, rank))};
  };
  const auto whole = learn(2, &families::eva, options, 3, batches);
  std::vector<Tensors> got(2);
  for (const bool resumed : {false, true}) {
    const auto ends = ranks::run(2, [&](const Group& group) {
      const int rank = group->rank();
      Trainer trainer(small::model(&families::eva),
                      small::model(&families::eva, 2),
                      options,
                      group);
      if (resumed) trainer.load(path);
      const int end = resumed ? 3 : 2;
      for (auto i = static_cast<int>(trainer.step_count()); i < end; ++i) {
        trainer.step(batches(i, rank, 2), {});
      }
      if (!resumed && rank == 0) trainer.save(path);
      got[static_cast<size_t>(rank)] = trainer.parameters();
    });
    CHECK(ends[0].message.empty() && ends[1].message.empty());
  }
  CHECK(same(got[0], whole[0].parameters));
  CHECK(same(got[1], whole[0].parameters));
}

TEST(what_one_rank_says_all_hear) {
  std::vector<int> heard(3, 0);
  const auto ends = ranks::run(3, [&](const Group& group) {
    const declip::Ranks all(group);
    if (all.any(false, {})) heard[0] = -1;
    if (all.any(group->rank() == 2, {})) {
      heard[static_cast<size_t>(group->rank())] += 1;
    }
  });
  CHECK((heard == std::vector<int>{1, 1, 1}));
  CHECK(declip::Ranks().any(true, {}) && !declip::Ranks().any(false, {}));
}

#endif

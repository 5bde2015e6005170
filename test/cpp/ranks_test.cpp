// Training in several processes: ranks against the one process that has all
// their batches, and what happens when one of them fails.

#ifdef __linux__

#include <ATen/ATen.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/train.h"
#include "rank_threads.h"
#include "small_models.h"
#include "tap.h"
#include "train/ranks.h"

using declip::ErrorCode;
using declip::Family;
using declip::Objective;
using declip::TrainBatch;
using declip::Trainer;
using ranks::Group;

namespace {

using Tensors = std::map<std::string, at::Tensor>;

int rank_of(const Group& group) { return group ? group->rank() : 0; }

/// What a rank has learnt.
struct Learnt {
  Tensors parameters;
  std::vector<declip::TrainStep> steps;
  std::string state;  // bytes of the file
};

declip::TrainOptions options_of(Objective objective) {
  auto options = small::options(objective);
  options.clip_norm = 0.5;
  options.ema_decay = 0.9;
  return options;
}

/// `steps` steps of `size` ranks; batches(step, rank, size) are a rank's.
std::vector<Learnt> learn(
    int size,
    Family family,
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
  const auto all = [&](at::Tensor TrainBatch::*member) {
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

double apart(const Tensors& a, const Tensors& b) {
  double difference = 0, whole = 0;
  for (const auto& [name, tensor] : a) {
    const auto other = b.at(name).to(at::kDouble);
    difference += (tensor - other).square().sum().item<double>();
    whole += other.square().sum().item<double>();
  }
  return std::sqrt(difference / whole);
}

Tensors gradients_of(int size,
                     const declip::TrainOptions& options,
                     const std::function<std::vector<TrainBatch>(int)>& parts,
                     declip::TrainStep* step) {
  Tensors out;
  const auto ends = ranks::run(size, [&](const Group& group) {
    Trainer trainer(small::model(Family::kEva), {}, options, group);
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

bool same(const Tensors& a, const Tensors& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a) {
    if (!at::equal(tensor, b.at(name))) return false;
  }
  return true;
}

Tensors copy(const Tensors& tensors) {
  Tensors out;
  for (const auto& [name, tensor] : tensors) out.emplace(name, tensor.clone());
  return out;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                       begin)
      .count();
}

}  // namespace

TEST(two_ranks_learn_what_one_process_does_to_the_bit) {
  // a + b has one result in either order, so nothing is lost on the way.
  for (const auto family : small::kFamilies) {
    for (const auto objective : small::kObjectives) {
      if (objective == Objective::kContrastive) continue;  // below
      const auto options = options_of(objective);
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
  const auto two = learn(2,
                         Family::kPlain,
                         options_of(Objective::kContrastive),
                         3,
                         [](int step, int rank, int) {
                           return std::vector{
                               small::batch(seed_of(step, rank))};
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
  CHECK_CLOSE(one.losses.at("region_text"),
              both.losses.at("region_text") / 2,
              1e-12);
}

TEST(all_ranks_start_from_the_first_ones_weights) {
  std::vector<Tensors> parameters(2);
  const auto options = small::options(Objective::kClipSelf);
  const auto ends = ranks::run(2, [&](const Group& group) {
    const auto seed = static_cast<uint64_t>(group->rank() + 1);
    Trainer trainer(small::model(Family::kEva, seed), {}, options, group);
    parameters[static_cast<size_t>(group->rank())] = trainer.parameters();
  });
  CHECK(ends[0].message.empty() && ends[1].message.empty());
  CHECK(same(parameters[0], small::model(Family::kEva, 1).tensors));
  CHECK(same(parameters[1], parameters[0]));
}

TEST(ranks_with_other_models_or_objectives_are_refused) {
  for (const bool other_model : {false, true}) {
    const auto ends = ranks::run(2, [&](const Group& group) {
      const bool other = group->rank() == 1;
      Trainer(small::model(other && other_model ? Family::kPlain
                                                : Family::kEva),
              {},
              small::options(other && !other_model ? Objective::kDeClip
                                                   : Objective::kClipSelf),
              group);
    });
    for (const auto& end : ends) {
      CHECK(end.of_group && end.code == ErrorCode::kPeer);
      CHECK(end.message.find("same model and objective") != end.message.npos);
    }
  }
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
    declip::Ranks(group).sum_gradients(parameters);
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

TEST(a_rank_that_fails_stops_the_step_of_all_and_all_can_go_on) {
  struct Case {
    Objective objective;
    std::function<void(TrainBatch&, declip::Call&)> spoil;
    ErrorCode code;
    const char* says;
  };
  const auto nan = [](TrainBatch& batch, declip::Call&) {
    batch.images.fill_(std::numeric_limits<float>::quiet_NaN());
  };
  const auto shape = [](TrainBatch& batch, declip::Call&) {
    batch.images = at::zeros({2, 4, 40, 40});
  };
  const auto cancel = [](TrainBatch&, declip::Call& call) {
    call.cancelled = std::make_shared<std::atomic<bool>>(true);
  };
  const std::vector<Case> cases{
      {Objective::kClipSelf, nan, ErrorCode::kInternal, "not finite"},
      {Objective::kDeClip, shape, ErrorCode::kInvalidArg, "images must be"},
      {Objective::kDeClip, cancel, ErrorCode::kAborted, "cancelled"},
      {Objective::kContrastive,
       shape,
       ErrorCode::kInvalidArg,
       "images must be"},
      {Objective::kContrastive, cancel, ErrorCode::kAborted, "cancelled"},
  };
  for (const auto& one : cases) {
    std::vector<ranks::End> failures(2);
    const auto options = small::options(one.objective);
    const auto ends = ranks::run(2, [&](const Group& group) {
      const int rank = group->rank();
      Trainer trainer(small::model(Family::kEva), {}, options, group);
      const auto before = copy(trainer.parameters());
      auto batch = small::batch(seed_of(0, rank));
      declip::Call call;
      if (rank == 1) one.spoil(batch, call);
      failures[static_cast<size_t>(rank)] =
          ranks::end_of([&] { trainer.step({batch, batch}, call); });
      CHECK(same(before, trainer.parameters()));
      CHECK(trainer.step({small::batch()}, {}).step == 1);
      CHECK(!same(before, trainer.parameters()));
    });
    CHECK(ends[0].message.empty() && ends[1].message.empty());
    CHECK(failures[0].of_group && !failures[1].of_group);
    CHECK(failures[0].message.starts_with("Rank 1 has failed"));
    CHECK(failures[0].code == ErrorCode::kPeer);
    CHECK(failures[1].code == one.code);
    for (const auto& failure : failures) {
      CHECK(failure.message.find(one.says) != failure.message.npos);
    }
  }
}

TEST(features_that_are_not_finite_stop_all_ranks) {
  const auto options = small::options(Objective::kContrastive);
  std::vector<ranks::End> failures(2);
  ranks::run(2, [&](const Group& group) {
    Trainer trainer(small::model(Family::kEva), {}, options, group);
    auto batch = small::batch();
    if (group->rank() == 1) {
      batch.images.fill_(std::numeric_limits<float>::quiet_NaN());
    }
    failures[static_cast<size_t>(group->rank())] =
        ranks::end_of([&] { trainer.step({batch}, {}); });
    CHECK(trainer.step_count() == 0);
  });
  for (const auto& failure : failures) {
    CHECK(failure.message.find("not finite") != failure.message.npos);
  }
}

TEST(ranks_at_different_places_are_told_so) {
  const auto batch = small::batch();
  struct Case {
    Objective objective;
    std::function<std::vector<TrainBatch>(int)> parts;
  };
  auto single = batch;
  single.images = batch.images.slice(0, 0, 1);
  single.tokens = batch.tokens.slice(0, 0, 1);
  single.boxes = at::Tensor();
  const std::vector<Case> cases{
      {Objective::kClipSelf,
       [&](int rank) {
         return rank == 0 ? std::vector{batch} : std::vector{batch, batch};
       }},
      {Objective::kContrastive,
       [&](int rank) {
         return rank == 0 ? std::vector{batch} : std::vector{batch, batch};
       }},
      {Objective::kContrastive,
       [&](int rank) { return std::vector{rank == 0 ? batch : single}; }},
  };
  for (const auto& one : cases) {
    const auto options = small::options(one.objective);
    const auto ends = ranks::run(2, [&](const Group& group) {
      Trainer trainer(small::model(Family::kEva), {}, options, group);
      trainer.step(one.parts(group->rank()), {});
    });
    for (const auto& end : ends) {
      CHECK(end.of_group && end.code == ErrorCode::kPeer);
      CHECK(end.message.starts_with("The ranks do not agree"));
    }
  }
}

TEST(a_rank_that_leaves_is_noticed_at_once) {
  for (const int size : {2, 3}) {
    const auto begin = std::chrono::steady_clock::now();
    const auto options = small::options(Objective::kClipSelf);
    std::vector<bool> unchanged(3, false);
    const auto ends = ranks::run(size, [&](const Group& group) {
      Trainer trainer(small::model(Family::kEva), {}, options, group);
      trainer.step({small::batch()}, {});
      if (group->rank() == 1) return;
      const auto before = copy(trainer.parameters());
      const auto failure =
          ranks::end_of([&] { trainer.step({small::batch()}, {}); });
      unchanged[static_cast<size_t>(group->rank())] =
          same(before, trainer.parameters());
      CHECK(failure.of_group && failure.code == ErrorCode::kPeer);
      trainer.step({small::batch()}, {});  // the group is closed
    });
    for (int rank = 0; rank < size; ++rank) {
      const auto& end = ends[static_cast<size_t>(rank)];
      if (rank == 1) {
        CHECK(end.message.empty());
        continue;
      }
      CHECK(unchanged[static_cast<size_t>(rank)]);
      CHECK(end.of_group && end.code == ErrorCode::kPeer);
      CHECK(end.message.find("has left the others") != end.message.npos);
    }
    CHECK(seconds_since(begin) < 10);  // the time limit is 20 s
  }
}

TEST(a_rank_that_is_too_slow_is_given_up) {
  const auto begin = std::chrono::steady_clock::now();
  const auto ends = ranks::run(
      2,
      [&](const Group& group) {
        if (group->rank() == 1) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1500));
        }
        declip::Ranks(group).any(false);
      },
      500);
  CHECK(ends[0].code == ErrorCode::kPeer && ends[1].code == ErrorCode::kPeer);
  CHECK(ends[0].message.find("slower than 0.5 s") != std::string::npos);
  CHECK(seconds_since(begin) < 8);
}

TEST(a_rank_that_never_comes_is_not_waited_for_for_ever) {
  for (const int rank : {0, 1}) {
    declip::ProcessGroupOptions options;
    options.rank = rank;
    options.world_size = 2;
    options.port = ranks::free_port();
    options.timeout = std::chrono::milliseconds(400);
    const auto message =
        CHECK_THROWS_CODE(declip::ProcessGroup(options), ErrorCode::kPeer);
    CHECK(message.starts_with("Rank " + std::to_string(rank) + " of 2"));
    CHECK(message.find("127.0.0.1:") != message.npos);
  }
}

TEST(a_state_that_one_rank_saved_goes_on_at_all) {
  const files::TempFolder folder;
  const auto path = folder.file("state.safetensors");
  const auto options = options_of(Objective::kRegionText);
  const auto batches = [](int step, int rank, int) {
    return std::vector{small::batch(seed_of(step, rank))};
  };
  const auto whole = learn(2, Family::kEva, options, 3, batches);
  std::vector<Tensors> got(2);
  for (const bool resumed : {false, true}) {
    const auto ends = ranks::run(2, [&](const Group& group) {
      const int rank = group->rank();
      Trainer trainer(small::model(Family::kEva),
                      small::model(Family::kEva, 2),
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
    if (all.any(false)) heard[0] = -1;
    if (all.any(group->rank() == 2)) {
      heard[static_cast<size_t>(group->rank())] += 1;
    }
  });
  CHECK((heard == std::vector<int>{1, 1, 1}));
  CHECK(declip::Ranks().any(true) && !declip::Ranks().any(false));
}

TEST(groups_that_cannot_be_are_refused) {
  const auto refused = [](auto change, const char* says) {
    declip::ProcessGroupOptions options;
    options.world_size = 2;
    change(options);
    const auto message = CHECK_THROWS_CODE(declip::ProcessGroup(options),
                                           ErrorCode::kInvalidArg);
    CHECK(message.find(says) != message.npos);
  };
  refused([](auto& o) { o.world_size = 0; }, "worldSize");
  refused([](auto& o) { o.rank = 2; }, "rank must be 0..1");
  refused([](auto& o) { o.rank = -1; }, "rank must be 0..1");
  refused([](auto& o) { o.port = 0; }, "port");
  refused([](auto& o) { o.address = ""; }, "address");
  refused([](auto& o) { o.backend = "mpi"; }, "'auto' or 'gloo'");
  refused([](auto& o) { o.timeout = std::chrono::milliseconds(0); },
          "timeoutMs");
}

#endif

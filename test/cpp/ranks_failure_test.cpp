// Training in several processes: what happens when one of them fails.

#ifdef __linux__

#include <ATen/ATen.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "declip/train.h"
#include "rank_threads.h"
#include "small_models.h"
#include "tap.h"
#include "tensor_maps.h"
#include "train/ranks.h"

using declip::ErrorCode;
namespace families = declip::families;
using declip::Objective;
using declip::TrainBatch;
using declip::Trainer;
using ranks::Group;

using tensor_maps::copy;
using tensor_maps::same;
using tensor_maps::Tensors;

namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

}  // namespace

TEST(ranks_with_other_models_or_objectives_are_refused) {
  for (const bool other_model : {false, true}) {
    const auto ends = ranks::run(2, [&](const Group& group) {
      const bool other = group->rank() == 1;
      Trainer(
          small::model(other && other_model ? &families::clip : &families::eva),
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
      {Objective::kClipSelf, nan, ErrorCode::kDiverged, "not finite"},
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
      Trainer trainer(small::model(&families::eva), {}, options, group);
      const auto before = copy(trainer.parameters());
      auto batch = small::batch(static_cast<uint64_t>(rank + 1));
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
    Trainer trainer(small::model(&families::eva), {}, options, group);
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
      Trainer trainer(small::model(&families::eva), {}, options, group);
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
      Trainer trainer(small::model(&families::eva), {}, options, group);
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
        declip::Ranks(group).any(false, {});
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

TEST(a_rank_that_waits_for_others_can_be_cancelled) {
  const auto begin = std::chrono::steady_clock::now();
  for (const int rank : {0, 1}) {
    declip::ProcessGroupOptions options;
    options.rank = rank;
    options.world_size = 2;
    options.port = ranks::free_port();
    declip::Call call;
    call.cancelled = std::make_shared<std::atomic<bool>>(false);
    std::thread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      *call.cancelled = true;
    });
    CHECK_THROWS_CODE(declip::ProcessGroup(options, call), ErrorCode::kAborted);
    later.join();
  }
  CHECK(seconds_since(begin) < 10);  // the time limit is 600 s
}

namespace {

/// Runs `body` as every rank; a rank waits for the others for ten minutes.
std::vector<ranks::End> run_patiently(
    int size, const std::function<void(const Group&)>& body) {
  const uint16_t port = ranks::free_port();
  std::vector<ranks::End> ends(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      at::set_num_threads(1);
      ends[static_cast<size_t>(rank)] = ranks::end_of([&] {
        declip::ProcessGroupOptions options;
        options.rank = rank;
        options.world_size = size;
        options.port = port;
        body(std::make_shared<declip::ProcessGroup>(options));
      });
    });
  }
  for (auto& thread : threads) thread.join();
  return ends;
}

/// A call that is cancelled some time after it began.
class Hasty {
 public:
  Hasty() {
    call.cancelled = std::make_shared<std::atomic<bool>>(false);
    later_ = std::thread([flag = call.cancelled] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      *flag = true;
    });
  }
  ~Hasty() { later_.join(); }
  declip::Call call;

 private:
  std::thread later_;
};

void wait_until(const std::atomic<bool>& flag) {
  while (!flag) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

}  // namespace

TEST(a_rank_inside_a_collective_can_be_cancelled) {
  using Use = std::function<void(declip::ProcessGroup&, const declip::Call&)>;
  const auto x = [] { return at::ones({4}); };
  const std::vector<Use> collectives{
      [&](auto& group, const auto& call) { group.sum(x(), "a sum", call); },
      [&](auto& group, const auto& call) { group.gather(x(), "rows", call); },
      [&](auto& group, const auto& call) {
        group.broadcast(x(), "rank 0's", call);
      },
  };
  for (size_t i = 0; i < collectives.size(); ++i) {
    const auto& use = collectives[i];
    // A broadcast keeps only those waiting that are not rank 0.
    for (const int hasty : {1, 0}) {
      if (i == 2 && hasty == 0) continue;
      const auto begin = std::chrono::steady_clock::now();
      std::atomic<bool> left{false};
      const auto ends = run_patiently(2, [&](const Group& group) {
        if (group->rank() != hasty) {
          wait_until(left);
          use(*group, {});
          // Rank 0's data may go out before it hears that nobody reads them.
          use(*group, {});
          return;
        }
        const Hasty one;
        const auto end = ranks::end_of([&] { use(*group, one.call); });
        left = true;
        CHECK(end.code == ErrorCode::kAborted);
        use(*group, {});
      });
      const auto& own = ends[static_cast<size_t>(hasty)];
      const auto& other = ends[static_cast<size_t>(1 - hasty)];
      CHECK(own.of_group);
      CHECK(own.message.find("has left the others") != own.message.npos);
      CHECK(other.of_group && other.code == ErrorCode::kPeer);
      CHECK(other.message.find("was cancelled") != other.message.npos ||
            other.message.find("has left") != other.message.npos);
      CHECK(seconds_since(begin) < 10);  // the time limit is 600 s
    }
  }
}

TEST(a_cancelled_rank_ends_the_wait_of_all) {
  const auto begin = std::chrono::steady_clock::now();
  std::atomic<int> ended{0};
  const auto ends = run_patiently(3, [&](const Group& group) {
    const declip::Ranks together(group);
    if (group->rank() == 2) {  // comes when the others are gone
      while (ended < 2) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      together.any(false, {});
      return;
    }
    const auto end = ranks::end_of([&] {
      if (group->rank() == 0) {
        together.any(false, {});
      } else {
        const Hasty one;
        together.any(false, one.call);
      }
    });
    CHECK(end.code ==
          (group->rank() == 0 ? ErrorCode::kPeer : ErrorCode::kAborted));
    ++ended;
  });
  CHECK(ends[2].of_group && ends[2].code == ErrorCode::kPeer);
  CHECK(seconds_since(begin) < 10);  // the time limit is 600 s
}

TEST(a_step_that_waits_for_other_ranks_can_be_cancelled) {
  const auto begin = std::chrono::steady_clock::now();
  for (const auto objective : {Objective::kClipSelf, Objective::kContrastive}) {
    const auto options = small::options(objective);
    std::atomic<bool> left{false};
    const auto ends = run_patiently(2, [&](const Group& group) {
      Trainer trainer(small::model(&families::eva), {}, options, group);
      const auto before = copy(trainer.parameters());
      if (group->rank() == 1) {
        wait_until(left);
        trainer.step({small::batch()}, {});
        return;
      }
      const Hasty one;
      const auto end =
          ranks::end_of([&] { trainer.step({small::batch()}, one.call); });
      CHECK(end.code == ErrorCode::kAborted);
      CHECK(same(before, trainer.parameters()) && trainer.step_count() == 0);
      left = true;
    });
    CHECK(ends[0].message.empty());
    CHECK(ends[1].of_group && ends[1].code == ErrorCode::kPeer);
  }
  CHECK(seconds_since(begin) < 20);  // the time limit is 600 s
}

TEST(a_rank_that_left_before_all_came_is_waited_for_again) {
  declip::ProcessGroupOptions options;
  options.world_size = 3;
  options.port = ranks::free_port();
  options.timeout = std::chrono::milliseconds(20'000);
  ranks::End ends[4];
  const auto join = [&](ranks::End& end, int rank, declip::Call call = {}) {
    return std::thread([&end, own = options, rank, call]() mutable {
      at::set_num_threads(1);
      own.rank = rank;
      end = ranks::end_of([&] {
        const auto x = at::ones({1});
        declip::ProcessGroup(own, call).sum(x, "a sum");
        if (x.item<float>() != 3) throw std::runtime_error("a wrong sum");
      });
    });
  };
  declip::Call hasty;
  hasty.cancelled = std::make_shared<std::atomic<bool>>(false);
  auto first = join(ends[0], 0);
  auto left = join(ends[1], 1, hasty);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  *hasty.cancelled = true;
  left.join();
  auto second = join(ends[2], 1);
  auto third = join(ends[3], 2);
  for (auto* thread : {&first, &second, &third}) thread->join();
  CHECK(ends[1].code == ErrorCode::kAborted);
  for (const int i : {0, 2, 3}) CHECK(ends[i].message.empty());
}

TEST(a_rank_that_gave_up_and_came_again_is_counted_once) {
  const auto begin = std::chrono::steady_clock::now();
  declip::ProcessGroupOptions options;
  options.world_size = 3;
  options.port = ranks::free_port();
  declip::Call call;
  call.cancelled = std::make_shared<std::atomic<bool>>(false);
  const auto join = [&](ranks::End& end, int rank, int timeout_ms) {
    auto own = options;
    own.rank = rank;
    own.timeout = std::chrono::milliseconds(timeout_ms);
    return std::thread([&end, &call, own] {
      end = ranks::end_of([&] { declip::ProcessGroup group(own, call); });
    });
  };
  ranks::End ends[3];
  auto first = join(ends[0], 0, 20'000);
  join(ends[1], 1, 300).join();
  auto again = join(ends[2], 1, 20'000);
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  // Counted twice, two would take themselves for three and look for the third
  // until the time limit.
  *call.cancelled = true;
  first.join();
  again.join();
  CHECK(ends[0].code == ErrorCode::kAborted);
  CHECK(ends[1].code == ErrorCode::kPeer);
  CHECK(ends[2].code == ErrorCode::kAborted ||
        ends[2].code == ErrorCode::kPeer);
  CHECK(seconds_since(begin) < 10);  // the time limit is 20 s
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

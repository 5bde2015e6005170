#pragma once

#include <napi.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "declip/call.h"
#include "declip/job_queue.h"
#include "errors.h"

namespace declip {

class Mailbox;

/// Runs on the JS thread and makes the value a promise resolves with.
using Finish = std::function<Napi::Value(Napi::Env)>;

/// What the process's jobs are done by.
enum class Lane {
  /// For models, in inference mode, with LibTorch's intra-op threads: as many
  /// jobs side by side as their sizes leave threads for.
  kInference,
  /// For making what models are given and what becomes of their labels: one
  /// thread by itself, so that it works beside a model, and outside inference
  /// mode, so that what it makes may take
  /// part in a graph. Nothing on it may wait for a model.
  kPreparation,
};

/// One call on its way through a lane. Holds no JS value.
struct Job : Task {
  uint64_t id = 0;
  Call call;
  /// A thread of the lane. Returns what turns its result into a JS value.
  std::function<Finish(const Call&)> work;
  Finish finish;
  std::optional<Failure> failure;

  std::shared_ptr<Mailbox> owner;
  std::chrono::steady_clock::time_point queued;
};

/// What became of the jobs of the process so far; times in milliseconds.
struct QueueStats {
  std::array<int64_t, kPriorities> waiting{}, running{};  // now, from low
  int64_t done = 0, failed = 0, cancelled = 0;
  double wait = 0, longest_wait = 0;  // of jobs that began
  double run = 0, longest_run = 0;    // of jobs that ended
};

/// The threads of a lane, and the jobs that wait for them. Never destroyed: at
/// exit its threads may still be inside LibTorch.
class Workers {
 public:
  static Workers& of(Lane lane);

  void push(std::shared_ptr<Job> job);
  /// Takes the cancelled ones among the waiting jobs of `owner`.
  std::vector<std::shared_ptr<Job>> take_cancelled(const Mailbox* owner);
  /// Drops the waiting jobs of `owner` and waits for its running ones.
  void forget(const Mailbox* owner);

  void set_threads(int threads);
  int threads() const;
  QueueStats stats() const;

 private:
  /// A thread. It keeps to one number of intra-op threads as far as it can, as
  /// another number costs it a new team.
  struct Slot {
    std::condition_variable wake;
    JobQueue::Start start;           // of its last job
    const Mailbox* owner = nullptr;  // of its job; null: idle
  };

  explicit Workers(Lane lane);
  void dispatch();
  Slot& slot_for(int threads);
  void loop(Slot& slot) noexcept;
  void run(Job& job, int threads) noexcept;
  void count(const Job& job, double wait, double run);

  const Lane lane_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  JobQueue queue_;
  std::vector<std::unique_ptr<Slot>> slots_;
  QueueStats stats_;  // but for waiting and running
};

}  // namespace declip

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "declip/job_size.h"

namespace declip {

enum class Priority { kLow, kNormal, kHigh };
constexpr size_t kPriorities = 3;

/// What a queue knows of a job.
struct Task {
  Priority priority = Priority::kNormal;
  /// Jobs of one client run in the order in which their calls were made;
  /// clients take turns.
  std::pair<const void*, std::string> client;
  uint64_t entered = 0;
  JobSize size;
};

/// Which of the waiting jobs runs next, and on how many threads. Not for
/// several threads at once.
///
/// - A job takes as many threads as its size alone says, so that its result
///   does not depend on what else runs. The next job starts when so many are
///   free; none passes it meanwhile, large or small.
/// - The highest priority comes first. A lower one that is passed over gets an
///   eighth of the time.
/// - Within a priority clients take turns, job by job.
/// - A small job of high priority starts at once: where no thread is free, on
///   a spare one, of which there is one.
class JobQueue {
 public:
  JobQueue(int threads, bool spare);

  struct Start {
    std::shared_ptr<Task> task;  // null: nothing can start
    Priority priority = Priority::kNormal;
    int threads = 0;
    bool spare = false;
    std::array<bool, kPriorities> passed{};  // levels that had to wait for it
  };

  void add(std::shared_ptr<Task> task);

  /// The job that is to start now. It runs until its start is handed to
  /// finished(), with the task or without.
  Start next();
  void finished(const Start& start, double milliseconds);

  /// Takes out the waiting jobs that `which` is true of.
  std::vector<std::shared_ptr<Task>> take(
      const std::function<bool(const Task&)>& which);

  /// For the jobs that start from now on.
  void set_threads(int threads) { threads_ = threads; }
  int threads() const { return threads_; }

  /// Jobs per priority, from low to high.
  std::array<int64_t, kPriorities> waiting() const;
  std::array<int64_t, kPriorities> running() const;

 private:
  using Client = std::pair<const void*, std::string>;

  /// The jobs of a client by the time of their calls.
  struct Line {
    std::multimap<uint64_t, std::shared_ptr<Task>> tasks;
    uint64_t turn = 0;  // the smallest is next
  };

  struct Level {
    std::map<Client, Line> lines;  // none is empty
    uint64_t turns = 0;            // that were given
    int64_t waiting = 0, running = 0;
    // Milliseconds of threads: what higher levels got since this one waits, and
    // what its last job took.
    double passed = 0, last = 0;
  };

  struct Place {
    Level* level = nullptr;
    std::map<Client, Line>::iterator line;
    std::multimap<uint64_t, std::shared_ptr<Task>>::iterator task;
  };

  Place first() const;
  /// Of high priority.
  Place first_small() const;
  Start start(const Place& place, int threads, bool spare);

  int threads_;
  int used_ = 0;
  bool spare_;
  mutable std::array<Level, kPriorities> levels_;
};

}  // namespace declip

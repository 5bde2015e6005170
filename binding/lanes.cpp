#include "lanes.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/ParallelGuard.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "declip/error.h"
#include "declip/memory.h"
#include "declip/threads.h"
#include "declip/vector_math.h"
#include "queue.h"

namespace declip {
namespace {

using Clock = std::chrono::steady_clock;

/// After this long without a job, free memory goes back to the system.
constexpr auto kIdle = std::chrono::seconds(2);

/// How long an environment that is being torn down waits for its running jobs.
/// Jobs stop between transformer blocks, so this is rarely used up.
constexpr auto kCloseTimeout = std::chrono::seconds(10);

double milliseconds(Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

/// For this thread alone, as OpenMP's and MKL's are; but what LibTorch does
/// beside it belongs to all threads.
void use_threads(int threads) {
  if (at::get_num_threads() == threads) return;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  at::set_num_threads(threads);
}

}  // namespace

Workers& Workers::of(Lane lane) {
  static auto* inference = new Workers(Lane::kInference);
  static auto* preparation = new Workers(Lane::kPreparation);
  return lane == Lane::kInference ? *inference : *preparation;
}

Workers::Workers(Lane lane)
    : lane_(lane),
      queue_(lane == Lane::kInference ? default_threads() : 1,
             lane == Lane::kInference) {}

void Workers::push(std::shared_ptr<Job> job) {
  job->queued = Clock::now();
  const std::lock_guard lock(mutex_);
  queue_.add(std::move(job));
  dispatch();
}

void Workers::dispatch() {
  for (;;) {
    auto start = queue_.next();
    if (!start.task) return;
    auto& slot = slot_for(start.threads);
    slot.owner = static_cast<const Job&>(*start.task).owner.get();
    slot.start = std::move(start);
    slot.wake.notify_one();
  }
}

Workers::Slot& Workers::slot_for(int threads) {
  Slot* idle = nullptr;
  for (const auto& slot : slots_) {
    if (slot->owner) continue;
    if (slot->start.threads == threads) return *slot;
    idle = slot.get();
  }
  // One more than the queue's threads: the spare one.
  if (idle != nullptr &&
      slots_.size() > static_cast<size_t>(queue_.threads())) {
    return *idle;
  }
  auto& slot = *slots_.emplace_back(std::make_unique<Slot>());
  std::thread([this, &slot] { loop(slot); }).detach();
  return slot;
}

std::vector<std::shared_ptr<Job>> Workers::take_cancelled(
    const Mailbox* owner) {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Job>> jobs;
  for (auto& task : queue_.take([&](const Task& task) {
         const auto& job = static_cast<const Job&>(task);
         return job.owner.get() == owner && *job.call.cancelled;
       })) {
    jobs.push_back(std::static_pointer_cast<Job>(std::move(task)));
  }
  stats_.cancelled += static_cast<int64_t>(jobs.size());
  dispatch();  // the next may have waited for one of them
  return jobs;
}

void Workers::forget(const Mailbox* owner) {
  std::unique_lock lock(mutex_);
  const auto dropped = queue_.take([&](const Task& task) {
    return static_cast<const Job&>(task).owner.get() == owner;
  });
  stats_.cancelled += static_cast<int64_t>(dropped.size());
  dispatch();
  ended_.wait_for(lock, kCloseTimeout, [&] {
    return std::none_of(slots_.begin(), slots_.end(), [&](const auto& slot) {
      return slot->owner == owner;
    });
  });
}

void Workers::set_threads(int threads) {
  const std::lock_guard lock(mutex_);
  queue_.set_threads(threads);
  dispatch();
}

int Workers::threads() const {
  const std::lock_guard lock(mutex_);
  return queue_.threads();
}

QueueStats Workers::stats() const {
  const std::lock_guard lock(mutex_);
  auto out = stats_;
  out.waiting = queue_.waiting();
  out.running = queue_.running();
  return out;
}

void Workers::loop(Slot& slot) noexcept {
  static const bool settled = (settle_vector_math(), true);
  (void)settled;
  const auto given = [&] { return slot.start.task != nullptr; };
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!slot.wake.wait_for(lock, kIdle, given)) {
      const bool all_idle =
          std::none_of(slots_.begin(), slots_.end(), [](const auto& other) {
            return other->owner != nullptr;
          });
      if (all_idle) give_back_memory();
      slot.wake.wait(lock, given);
    }
    auto job = std::static_pointer_cast<Job>(std::move(slot.start.task));
    lock.unlock();
    const auto begun = Clock::now();
    run(*job, slot.start.threads);
    const auto ended = Clock::now();
    const auto wait = milliseconds(begun - job->queued);
    const auto time = milliseconds(ended - begun);
    lock.lock();
    count(*job, wait, time);
    lock.unlock();
    auto owner = std::move(job->owner);
    owner->deliver(std::move(job));
    owner.reset();
    lock.lock();
    slot.owner = nullptr;
    queue_.finished(slot.start, time);
    dispatch();
    ended_.notify_all();
  }
}

void Workers::count(const Job& job, double wait, double run) {
  if (!job.failure) {
    ++stats_.done;
  } else if (job.failure->code == code_name(ErrorCode::kAborted)) {
    ++stats_.cancelled;
  } else {
    ++stats_.failed;
  }
  stats_.wait += wait;
  stats_.longest_wait = std::max(stats_.longest_wait, wait);
  stats_.run += run;
  stats_.longest_run = std::max(stats_.longest_run, run);
}

/// Touches the job's own members only, no JS value.
void Workers::run(Job& job, int threads) noexcept {
  try {
    const bool infers = lane_ == Lane::kInference;
    if (infers) use_threads(threads);
    // By itself, and without a setting that other threads would share.
    const c10::ParallelGuard alone(!infers);
    const c10::InferenceMode mode(infers);
    const MemoryScope memory;
    job.call.check();
    job.finish = job.work(job.call);
  } catch (...) {
    job.failure = current_error();
  }
  job.work = nullptr;  // frees the inputs here, not on the JS thread
}

}  // namespace declip

#include "queue.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/ParallelGuard.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <thread>
#include <vector>

#include "cancel_token.h"
#include "declip/error.h"
#include "declip/memory.h"
#include "declip/threads.h"
#include "declip/vector_math.h"

namespace declip {
namespace {

/// After this long without a job, free memory goes back to the system.
constexpr auto kIdle = std::chrono::seconds(2);

/// How long an environment that is being torn down waits for its running job.
/// Jobs stop between transformer blocks, so this is rarely used up.
constexpr auto kCloseTimeout = std::chrono::seconds(10);
/// Progress reports closer together than this are dropped, but for the last.
constexpr auto kProgressInterval = std::chrono::milliseconds(50);

/// The thread of a lane, and the jobs that wait for it. Never destroyed: at
/// exit the thread may still be inside LibTorch.
class Worker {
 public:
  static Worker& of(Lane lane) {
    // One inference thread owns LibTorch's intra-op threads, so that concurrent
    // calls, models and workers never oversubscribe the machine.
    static auto* inference = new Worker(Lane::kInference);
    static auto* preparation = new Worker(Lane::kPreparation);
    return lane == Lane::kInference ? *inference : *preparation;
  }

  explicit Worker(Lane lane) : lane_(lane) {}

  void push(std::shared_ptr<Mailbox> owner, std::shared_ptr<Job> job) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({std::move(owner), std::move(job)});
    if (!started_) {
      started_ = true;
      std::thread([this] { loop(); }).detach();
    }
    wake_.notify_one();
  }

  /// Takes the cancelled ones among the queued jobs of `owner`.
  std::vector<std::shared_ptr<Job>> take_cancelled(const Mailbox* owner) {
    const std::lock_guard lock(mutex_);
    const auto kept =
        std::stable_partition(jobs_.begin(), jobs_.end(), [&](const Entry& e) {
          return e.owner.get() != owner || !*e.job->call.cancelled;
        });
    std::vector<std::shared_ptr<Job>> taken;
    for (auto it = kept; it != jobs_.end(); ++it) taken.push_back(it->job);
    jobs_.erase(kept, jobs_.end());
    return taken;
  }

  /// Drops the queued jobs of `owner` and waits for its running one.
  void forget(const Mailbox* owner) {
    std::unique_lock lock(mutex_);
    const auto theirs = [&](const Entry& e) { return e.owner.get() == owner; };
    jobs_.erase(std::remove_if(jobs_.begin(), jobs_.end(), theirs),
                jobs_.end());
    idle_.wait_for(lock, kCloseTimeout, [&] { return running_ != owner; });
  }

  std::atomic<int> threads{default_threads()};  // of Lane::kInference

 private:
  struct Entry {
    std::shared_ptr<Mailbox> owner;
    std::shared_ptr<Job> job;
  };

  void loop() noexcept {
    static const bool settled = (settle_vector_math(), true);
    (void)settled;
    for (;;) {
      Entry entry;
      {
        std::unique_lock lock(mutex_);
        const auto work = [&] { return !jobs_.empty(); };
        if (!wake_.wait_for(lock, kIdle, work)) {
          give_back_memory();
          wake_.wait(lock, work);
        }
        entry = std::move(jobs_.front());
        jobs_.pop_front();
        running_ = entry.owner.get();
      }
      run(*entry.job);
      entry.owner->deliver(std::move(entry.job));
      {
        const std::lock_guard lock(mutex_);
        running_ = nullptr;
      }
      idle_.notify_all();
    }
  }

  /// Touches the job's own members only, no JS value.
  void run(Job& job) noexcept {
    try {
      const bool infers = lane_ == Lane::kInference;
      // thread-local: has to be set on the thread that computes
      if (infers && at::get_num_threads() != threads) {
        at::set_num_threads(threads);
      }
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

  const Lane lane_;
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::deque<Entry> jobs_;
  const Mailbox* running_ = nullptr;
  bool started_ = false;
};

constexpr std::array<Lane, 2> kLanes{Lane::kInference, Lane::kPreparation};

}  // namespace

void set_inference_threads(int threads) {
  Worker::of(Lane::kInference).threads = threads;
}

int inference_threads() { return Worker::of(Lane::kInference).threads; }

Mailbox::Mailbox(Napi::Env env) {
  const auto status =
      napi_create_threadsafe_function(env,
                                      nullptr,
                                      nullptr,
                                      Napi::String::New(env, "declip"),
                                      /*max_queue_size=*/0,
                                      /*initial_thread_count=*/1,
                                      nullptr,
                                      nullptr,
                                      this,
                                      &Mailbox::on_message,
                                      &tsfn_);
  NAPI_THROW_IF_FAILED_VOID(env, status);
  napi_unref_threadsafe_function(env,
                                 tsfn_);  // no job, no reason to stay alive
}

Napi::Promise Mailbox::submit(Napi::Env env,
                              const Napi::Object& options,
                              std::function<Finish(const Call&)> work,
                              Lane lane) {
  if (closing_) {  // written on this thread only
    throw Error(ErrorCode::kDisposed,
                "The process or worker is ending and takes no further call.");
  }
  auto job = std::make_shared<Job>();
  job->id = next_id_++;
  job->work = std::move(work);
  job->call.cancelled = CancelToken::flag_of(options.Get("token"));

  Waiting waiting{Napi::Promise::Deferred::New(env),
                  {},
                  Napi::Persistent(options),
                  job->call.cancelled};
  const auto progress = options.Get("onProgress");
  if (progress.IsFunction()) {
    waiting.progress = Napi::Persistent(progress.As<Napi::Function>());
    job->call.progress = [self = weak_from_this(),
                          id = job->id,
                          last = std::chrono::steady_clock::time_point()](
                             Step step, int64_t done, int64_t total) mutable {
      const auto now = std::chrono::steady_clock::now();
      if (done < total && now - last < kProgressInterval) return;
      last = now;
      if (const auto mailbox = self.lock()) {
        mailbox->deliver_progress(id, step, done, total);
      }
    };
  }
  const auto promise = waiting.deferred.Promise();
  if (waiting_.empty()) napi_ref_threadsafe_function(env, tsfn_);
  waiting_.emplace(job->id, std::move(waiting));
  Worker::of(lane).push(shared_from_this(), std::move(job));
  return promise;
}

void Mailbox::post(std::function<void(Napi::Env)> message) {
  const std::lock_guard lock(mutex_);
  if (closing_) return;
  auto held =
      std::make_unique<std::function<void(Napi::Env)>>(std::move(message));
  if (napi_call_threadsafe_function(tsfn_, held.get(), napi_tsfn_blocking) ==
      napi_ok) {
    held.release();  // on_message takes it over
  }
}

void Mailbox::deliver(std::shared_ptr<Job> job) {
  post([this, job = std::move(job)](Napi::Env env) { settle(env, *job); });
}

void Mailbox::deliver_progress(uint64_t id,
                               Step step,
                               int64_t done,
                               int64_t total) {
  post([this, id, step, done, total](Napi::Env env) {
    const auto it = waiting_.find(id);
    if (it == waiting_.end() || it->second.progress.IsEmpty()) return;
    // The callback may end the process, which clears waiting_: hold the
    // function, not the entry.
    const auto callback = it->second.progress.Value();
    callback.Call({Napi::String::New(env, step_name(step)),
                   Napi::Number::New(env, static_cast<double>(done)),
                   Napi::Number::New(env, static_cast<double>(total))});
  });
}

void Mailbox::on_message(napi_env raw, napi_value, void*, void* data) {
  const std::unique_ptr<std::function<void(Napi::Env)>> message(
      static_cast<std::function<void(Napi::Env)>*>(data));
  if (raw == nullptr) return;  // the environment is gone
  const Napi::Env env(raw);
  const Napi::HandleScope scope(env);
  try {
    (*message)(env);
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();  // a progress callback that threw
  }
}

void Mailbox::settle(Napi::Env env, Job& job) {
  const auto it = waiting_.find(job.id);
  if (it == waiting_.end()) return;
  const auto waiting = std::move(it->second);
  waiting_.erase(it);
  if (waiting_.empty()) napi_unref_threadsafe_function(env, tsfn_);
  if (!job.failure) {
    try {
      waiting.deferred.Resolve(job.finish ? job.finish(env) : env.Undefined());
      return;
    } catch (const Napi::Error& error) {
      waiting.deferred.Reject(error.Value());
      return;
    } catch (...) {
      job.failure = current_error();
    }
  }
  waiting.deferred.Reject(to_js(env, *job.failure));
}

void Mailbox::drop_cancelled() {
  for (const auto lane : kLanes) {
    for (auto& job : Worker::of(lane).take_cancelled(this)) {
      job->work = nullptr;
      job->failure = {code_name(ErrorCode::kAborted),
                      "The call was cancelled."};
      deliver(std::move(job));
    }
  }
}

void Mailbox::close() {
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    closing_ = true;
  }
  for (auto& [id, waiting] : waiting_) {
    if (waiting.cancelled) *waiting.cancelled = true;
  }
  for (const auto lane : kLanes) Worker::of(lane).forget(this);
  waiting_.clear();
  napi_release_threadsafe_function(tsfn_, napi_tsfn_abort);
}

}  // namespace declip

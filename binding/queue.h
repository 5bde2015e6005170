#pragma once

#include <napi.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "declip/call.h"
#include "errors.h"

namespace declip {

/// Runs on the JS thread and makes the value a promise resolves with.
using Finish = std::function<Napi::Value(Napi::Env)>;

/// The process's two threads for jobs. Each takes them in their order.
enum class Lane {
  /// For models, in inference mode, with LibTorch's intra-op threads.
  kInference,
  /// For making what models are given and what becomes of their labels: one
  /// thread by itself, so that it works beside a model, and outside inference
  /// mode, so that what it makes may take
  /// part in a graph. Nothing on it may wait for a model.
  kPreparation,
};

/// One call on its way through a lane. Holds no JS value.
struct Job {
  uint64_t id = 0;
  Call call;
  /// The lane's thread. Returns what turns its result into a JS value.
  std::function<Finish(const Call&)> work;
  Finish finish;
  std::optional<Failure> failure;
};

/// The JS side of one environment (main thread or worker): promises that wait
/// for jobs, and the function by which the lanes' threads reach them.
///
/// They may outlive the environment. They hold a shared_ptr, and after
/// `close()` they never touch the threadsafe function again.
class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  explicit Mailbox(Napi::Env env);

  /// JS thread. Queues `work`; `options` may carry `token` and `onProgress`.
  /// Throws Error(kDisposed) after `close()`.
  Napi::Promise submit(Napi::Env env,
                       const Napi::Object& options,
                       std::function<Finish(const Call&)> work,
                       Lane lane = Lane::kInference);

  /// JS thread. Rejects this environment's cancelled calls that still wait for
  /// their turn; the running one stops by itself.
  void drop_cancelled();

  /// Any thread. No effect once the environment is closing.
  void deliver(std::shared_ptr<Job> job);
  void deliver_progress(uint64_t id, Step step, int64_t done, int64_t total);

  /// JS thread, process exit and environment cleanup: cancels what is left and
  /// waits, within limits, until the lanes have let go of it.
  void close();

 private:
  struct Waiting {
    Napi::Promise::Deferred deferred;
    Napi::FunctionReference progress;  // may be empty
    Napi::ObjectReference options;     // keeps what the job reads in place
    std::shared_ptr<std::atomic<bool>> cancelled;
  };

  void post(std::function<void(Napi::Env)> message);
  void settle(Napi::Env env, Job& job);
  static void on_message(napi_env env, napi_value, void* context, void* data);

  std::mutex mutex_;  // guards closing_ and every use of tsfn_
  bool closing_ = false;
  napi_threadsafe_function tsfn_ = nullptr;

  // JS thread only
  uint64_t next_id_ = 1;
  std::map<uint64_t, Waiting> waiting_;
};

/// Intra-op threads of the inference lane; takes effect with its next job.
void set_inference_threads(int threads);
int inference_threads();

}  // namespace declip

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

/// One call on its way through the inference thread. Holds no JS value.
struct Job {
  uint64_t id = 0;
  Call call;
  /// Inference thread. Returns what turns its result into a JS value.
  std::function<Finish(const Call&)> work;
  Finish finish;
  std::optional<Failure> failure;
};

/// The JS side of one environment (main thread or worker): promises that wait
/// for jobs, and the function by which the inference thread reaches them.
///
/// The inference thread may outlive the environment. It holds a shared_ptr, and
/// after `close()` it never touches the threadsafe function again.
class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  explicit Mailbox(Napi::Env env);

  /// JS thread. Queues `work`; `options` may carry `token` and `onProgress`.
  /// Throws Error(kDisposed) after `close()`.
  Napi::Promise submit(Napi::Env env,
                       const Napi::Object& options,
                       std::function<Finish(const Call&)> work);

  /// JS thread. Rejects this environment's cancelled calls that still wait for
  /// their turn; the running one stops by itself.
  void drop_cancelled();

  /// Any thread. No effect once the environment is closing.
  void deliver(std::shared_ptr<Job> job);
  void deliver_progress(uint64_t id, Step step, int64_t done, int64_t total);

  /// JS thread, process exit and environment cleanup: cancels what is left and
  /// waits, within limits, until the inference thread has let go of it.
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

/// Intra-op threads of the inference thread; takes effect with its next job.
void set_inference_threads(int threads);
int inference_threads();

}  // namespace declip

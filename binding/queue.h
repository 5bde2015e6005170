#pragma once

#include <napi.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "declip/call.h"
#include "lanes.h"

namespace declip {

/// The JS side of one environment (main thread or worker): promises that wait
/// for jobs, and the function by which the lanes' threads reach them.
///
/// They may outlive the environment. They hold a shared_ptr, and after
/// `close()` they never touch the threadsafe function again.
class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  explicit Mailbox(Napi::Env env);

  /// JS thread. Queues `work`; `options` may carry `token`, `onProgress`,
  /// `priority`, `order` and `client` (NativeCall in ts/engine/addon-types.ts).
  /// Throws Error(kDisposed) after `close()`.
  Napi::Promise submit(Napi::Env env,
                       const Napi::Object& options,
                       std::function<Finish(const Call&)> work,
                       const JobSize& size,
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

/// Increases with every call of it, in all environments of the process.
uint64_t next_ticket();

}  // namespace declip

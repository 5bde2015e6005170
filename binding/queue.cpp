#include "queue.h"

#include <array>
#include <atomic>
#include <chrono>
#include <utility>

#include "cancel_token.h"
#include "declip/error.h"
#include "read_options.h"

namespace declip {
namespace {

/// Progress reports closer together than this are dropped, but for the last.
constexpr auto kProgressInterval = std::chrono::milliseconds(50);

/// Where a call stands in the order of all calls of the process.
std::atomic<uint64_t> last_ticket{0};

Priority to_priority(int64_t number) {
  if (number < 0 || number >= static_cast<int64_t>(kPriorities)) {
    throw wrong("priority", "0 (low), 1 (normal) or 2 (high)");
  }
  return static_cast<Priority>(number);
}

constexpr std::array<Lane, 2> kLanes{Lane::kInference, Lane::kPreparation};

}  // namespace

uint64_t next_ticket() { return ++last_ticket; }

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
                              const JobSize& size,
                              Lane lane) {
  if (closing_) {  // written on this thread only
    throw Error(ErrorCode::kDisposed,
                "The process or worker is ending and takes no further call.");
  }
  auto job = std::make_shared<Job>();
  job->priority = to_priority(find_integer(options, "priority").value_or(1));
  job->client = {this, find_string(options, "client").value_or("")};
  const auto order = find_integer(options, "order");
  job->entered = order ? static_cast<uint64_t>(*order) : next_ticket();
  job->size = size;
  job->id = next_id_++;
  job->work = std::move(work);
  job->owner = shared_from_this();
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
  Workers::of(lane).push(std::move(job));
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
    for (auto& job : Workers::of(lane).take_cancelled(this)) {
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
  for (const auto lane : kLanes) Workers::of(lane).forget(this);
  waiting_.clear();
  napi_release_threadsafe_function(tsfn_, napi_tsfn_abort);
}

}  // namespace declip

#pragma once

#include <napi.h>

#include <atomic>
#include <memory>

namespace declip {

/// JS handle on a cancellation flag shared with a job.
class CancelToken : public Napi::ObjectWrap<CancelToken> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit CancelToken(const Napi::CallbackInfo& info);

  /// The flag behind a token, or a fresh one for any other value.
  static std::shared_ptr<std::atomic<bool>> flag_of(const Napi::Value& value);

 private:
  Napi::Value cancel(const Napi::CallbackInfo& info);
  std::shared_ptr<std::atomic<bool>> flag_;
};

}  // namespace declip

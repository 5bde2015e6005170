#include "memory_calls.h"

#include <algorithm>

#include "addon_data.h"
#include "declip/error.h"
#include "declip/memory.h"
#include "errors.h"

namespace declip {
namespace {

/// What JavaScript can count exactly, in bytes.
constexpr double kMost = 9007199254740991.0;

int64_t bytes_of(const Napi::CallbackInfo& info, double least) {
  const double bytes = info.Length() > 0 && info[0].IsNumber()
                           ? info[0].ToNumber().DoubleValue()
                           : -1.0;
  if (!(bytes >= least && bytes <= kMost)) {
    throw Error(ErrorCode::kInvalidArg, "bytes must be a number in range.");
  }
  return static_cast<int64_t>(bytes);
}

}  // namespace

Napi::Value get_memory_use(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto use = memory_use();
    auto o = Napi::Object::New(env);
    o.Set("used", static_cast<double>(use.used));
    o.Set("budget", static_cast<double>(use.budget));
    return o;
  });
}

Napi::Value set_budget(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    set_memory_budget(bytes_of(info, 1));
    return env.Undefined();
  });
}

Napi::Value reserve(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto bytes = bytes_of(info, 0);
    const bool fits = reserve_memory(bytes);
    if (fits) addon_data(env).reserved += bytes;
    return Napi::Boolean::New(env, fits);
  });
}

Napi::Value unreserve(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    auto& reserved = addon_data(env).reserved;
    const auto bytes = std::min(bytes_of(info, 0), reserved);
    reserved -= bytes;
    release_memory(bytes);
    return env.Undefined();
  });
}

}  // namespace declip

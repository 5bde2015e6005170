#pragma once

#include <napi.h>

#include <type_traits>
#include <utility>

#include "addon_data.h"
#include "errors.h"
#include "read_options.h"
#include "results.h"

namespace declip {

/// A queued call, made of two functions:
///
///   return queued(info, [](const Napi::Object& options) {  // JS thread
///     return [a = get_tensor(options, "a")](const Call& call) {  // queue
///       return work_on(a, call);
///     };
///   });
///
/// The outer one reads the options; the inner one, which holds no JS value, is
/// queued. The promise resolves with to_js() of what it returns.
template <class Read>
Napi::Value queued(const Napi::CallbackInfo& info,
                   Read&& read,
                   Lane lane = Lane::kInference) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto options = options_of(info);
    return addon_data(env).mailbox->submit(
        env,
        options,
        [job = read(options)](const Call& call) -> Finish {
          if constexpr (std::is_void_v<decltype(job(call))>) {
            job(call);
            return nullptr;
          } else {
            return [result = job(call)](Napi::Env e) -> Napi::Value {
              return to_js(e, result);
            };
          }
        },
        lane);
  });
}

}  // namespace declip

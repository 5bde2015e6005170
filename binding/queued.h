#pragma once

#include <napi.h>

#include <type_traits>
#include <utility>

#include "addon_data.h"
#include "errors.h"
#include "read_options.h"
#include "results.h"

namespace declip {

/// Work whose size is known before it runs.
template <class Work>
struct Sized {
  JobSize size;
  Work work;
};
template <class Work>
Sized(JobSize, Work) -> Sized<Work>;

template <class Work>
Sized<Work> with_size(Work&& work) {
  return {unknown_size(), std::forward<Work>(work)};
}
template <class Work>
Sized<Work> with_size(Sized<Work> work) {
  return work;
}

/// A queued call, made of two functions:
///
///   return queued(info, [](const Napi::Object& options) {  // JS thread
///     return [a = get_tensor(options, "a")](const Call& call) {  // queue
///       return work_on(a, call);
///     };
///   });
///
/// The outer one reads the options; the inner one, which holds no JS value, is
/// queued, and runs alone unless it comes as Sized. The promise resolves with
/// to_js() of what it returns.
template <class Read>
Napi::Value queued(const Napi::CallbackInfo& info,
                   Read&& read,
                   Lane lane = Lane::kInference) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto options = options_of(info);
    auto [size, work] = with_size(read(options));
    return addon_data(env).mailbox->submit(
        env,
        options,
        [job = std::move(work)](const Call& call) -> Finish {
          if constexpr (std::is_void_v<decltype(job(call))>) {
            job(call);
            return nullptr;
          } else {
            return [result = job(call)](Napi::Env e) -> Napi::Value {
              return to_js(e, result);
            };
          }
        },
        size,
        lane);
  });
}

}  // namespace declip

#pragma once

#include <napi.h>

namespace declip {

/// runtime(): what the engine runs on.
Napi::Value runtime_info(const Napi::CallbackInfo& info);
/// setThreads(threads)
Napi::Value set_threads(const Napi::CallbackInfo& info);
/// queueStats()
Napi::Value queue_stats(const Napi::CallbackInfo& info);
/// ticket()
Napi::Value ticket(const Napi::CallbackInfo& info);

}  // namespace declip

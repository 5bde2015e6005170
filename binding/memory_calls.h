#pragma once

#include <napi.h>

namespace declip {

/// memoryUse(): { used, budget } in bytes.
Napi::Value get_memory_use(const Napi::CallbackInfo& info);
/// setMemoryBudget(bytes)
Napi::Value set_budget(const Napi::CallbackInfo& info);
/// reserveMemory(bytes): whether the budget has room for them
Napi::Value reserve(const Napi::CallbackInfo& info);
/// unreserveMemory(bytes)
Napi::Value unreserve(const Napi::CallbackInfo& info);

}  // namespace declip

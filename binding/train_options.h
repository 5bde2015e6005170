#pragma once

#include <napi.h>

#include <optional>

#include "declip/process_group.h"
#include "declip/train.h"

namespace declip {

// What all trainers take of their options objects.

Schedule to_schedule(const Napi::Object& o);
/// `processGroup`; empty where it is missing.
std::optional<ProcessGroupOptions> to_process_group(const Napi::Object& o);

}  // namespace declip

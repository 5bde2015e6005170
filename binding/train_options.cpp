#include "train_options.h"

#include <chrono>
#include <cstdint>

#include "declip/error.h"
#include "read_options.h"

namespace declip {

Schedule to_schedule(const Napi::Object& o) {
  Schedule out;
  const auto kind = get_string(o, "kind");
  if (kind == "constant") {
    out.kind = Schedule::Kind::kConstant;
  } else if (kind == "cosine") {
    out.kind = Schedule::Kind::kCosine;
  } else if (kind == "constant-cooldown") {
    out.kind = Schedule::Kind::kConstantCooldown;
  } else if (kind == "step") {
    out.kind = Schedule::Kind::kStep;
    out.milestones = get_integers(o, "milestones");
    out.decay = get_number(o, "decay");
  } else {
    throw Error(ErrorCode::kInvalidArg,
                "schedule must be 'constant', 'cosine', 'constant-cooldown' "
                "or 'step', received '" +
                    kind + "'.");
  }
  out.rate = get_number(o, "rate");
  out.warmup = get_integer(o, "warmup");
  out.total = get_integer(o, "total");
  out.cooldown = get_integer(o, "cooldown");
  out.cooldown_power = get_number(o, "cooldownPower");
  out.cooldown_end = get_number(o, "cooldownEnd");
  out.warmup_from = find_number(o, "warmupFrom");
  return out;
}

std::optional<ProcessGroupOptions> to_process_group(const Napi::Object& o) {
  if (o.Get("processGroup").IsUndefined()) return {};
  const auto group = get_object(o, "processGroup");
  const auto number = [&](const char* key, int64_t high) {
    const auto value = get_integer(group, key);
    if (value >= 0 && value <= high) return value;
    throw Error(ErrorCode::kInvalidArg,
                c10::str("processGroup.",
                         key,
                         " must be 0..",
                         high,
                         ", received ",
                         value,
                         "."));
  };
  ProcessGroupOptions out;
  out.rank = static_cast<int>(number("rank", INT32_MAX));
  out.world_size = static_cast<int>(number("worldSize", INT32_MAX));
  out.address = get_string(group, "address");
  out.port = static_cast<uint16_t>(number("port", UINT16_MAX));
  out.backend = get_string(group, "backend");
  out.timeout = std::chrono::milliseconds(get_integer(group, "timeoutMs"));
  return out;
}

}  // namespace declip

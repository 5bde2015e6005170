#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "declip/error.h"
#include "declip/train.h"

namespace declip {
namespace {

void check(const Schedule& s) {
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorCode::kInvalidArg, why);
  };
  if (!(std::isfinite(s.rate) && s.rate >= 0)) {
    refuse("schedule.rate must be 0 or more, received " +
           std::to_string(s.rate) + ".");
  }
  if (s.warmup < 0 || s.cooldown < 0) {
    refuse("schedule.warmup and schedule.cooldown must be 0 steps or more.");
  }
  if (s.warmup_from && !(*s.warmup_from >= 0 && *s.warmup_from <= 1)) {
    refuse("schedule.warmupFrom must be 0 to 1, received " +
           std::to_string(*s.warmup_from) + ".");
  }
  if (s.kind == Schedule::Kind::kStep) {
    if (!(std::isfinite(s.decay) && s.decay >= 0)) {
      refuse("schedule.decay must be 0 or more, received " +
             std::to_string(s.decay) + ".");
    }
    return;
  }
  if (s.kind == Schedule::Kind::kConstant) return;
  if (s.total <= s.warmup + s.cooldown) {
    refuse("steps must be more than those of warm-up and cool-down (" +
           std::to_string(s.warmup + s.cooldown) + "), received " +
           std::to_string(s.total) + ".");
  }
}

/// Of a step after the warm-up.
double regular_rate(const Schedule& schedule, int64_t step) {
  if (schedule.kind == Schedule::Kind::kStep) {
    const auto passed =
        std::count_if(schedule.milestones.begin(),
                      schedule.milestones.end(),
                      [step](int64_t at) { return at <= step; });
    return schedule.rate * std::pow(schedule.decay, passed);
  }
  if (schedule.kind == Schedule::Kind::kCosine) {
    const auto past = static_cast<double>(step - schedule.warmup);
    const auto all = static_cast<double>(schedule.total - schedule.warmup);
    return 0.5 * schedule.rate *
           (1 + std::cos(std::numbers::pi * std::min(past / all, 1.0)));
  }
  const int64_t begin = schedule.total - schedule.cooldown;
  if (schedule.kind == Schedule::Kind::kConstant || step < begin) {
    return schedule.rate;
  }
  const double left = std::max(
      1 - static_cast<double>(step - begin) /
              static_cast<double>(std::max<int64_t>(schedule.cooldown, 1)),
      0.0);
  return schedule.cooldown_end + (schedule.rate - schedule.cooldown_end) *
                                     std::pow(left, schedule.cooldown_power);
}

}  // namespace

double learning_rate(const Schedule& schedule, int64_t step) {
  check(schedule);
  if (step >= schedule.warmup) return regular_rate(schedule, step);
  const auto warmup = static_cast<double>(schedule.warmup);
  const auto t = static_cast<double>(step);
  if (!schedule.warmup_from) return schedule.rate * (t + 1) / warmup;
  // mmcv scales what the step has without a warm-up.
  const double rate = schedule.kind == Schedule::Kind::kStep
                          ? regular_rate(schedule, step)
                          : schedule.rate;
  return rate * (1 - (1 - t / warmup) * (1 - *schedule.warmup_from));
}

}  // namespace declip

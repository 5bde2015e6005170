#pragma once

#include <functional>

namespace declip::bench {

/// Waits until the device has done all that was queued.
void synchronize();

/// Milliseconds of one run: the median of several samples, each of as many runs
/// between two synchronisations as make it long against the clock. Runs twice
/// before, then for about `budget` seconds.
double milliseconds(const std::function<void()>& run, double budget = 0.3);

/// What the device is capable of, measured once each.
struct Ceilings {
  double copy = 0;                                // bytes moved per second
  double float32 = 0, float16 = 0, bfloat16 = 0;  // operations per second
};
Ceilings measure_ceilings(bool small);

}  // namespace declip::bench

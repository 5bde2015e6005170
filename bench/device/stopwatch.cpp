#include "stopwatch.h"

#include <ATen/ATen.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "kernels/task.h"

namespace declip::bench {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Operations per second of LibTorch's product of two square matrices of random
/// numbers; in float32 without TF32, which LibTorch has off unless it is asked.
double product(int64_t side, at::ScalarType dtype) {
  const auto a = random({side, side}).to(dtype), b = a.t().contiguous();
  auto out = at::empty_like(a);
  const double ms = milliseconds([&] { at::mm_out(out, a, b); });
  return 2e3 * static_cast<double>(side * side * side) / ms;
}

}  // namespace

void synchronize() {
  if (device().is_cuda())
    at::detail::getCUDAHooks().deviceSynchronize(device().index());
}

double milliseconds(const std::function<void()>& run, double budget) {
  run();  // libraries set themselves up
  synchronize();
  auto start = Clock::now();
  run();
  synchronize();
  const double one = std::max(since(start), 1e-7);
  const int runs = static_cast<int>(std::clamp(0.01 / one, 1.0, 1000.0));
  const int samples =
      static_cast<int>(std::clamp(budget / (runs * one), 3.0, 15.0));
  std::vector<double> times;
  for (int i = 0; i < samples; ++i) {
    start = Clock::now();
    for (int j = 0; j < runs; ++j) run();
    synchronize();
    times.push_back(1e3 * since(start) / runs);
  }
  std::nth_element(times.begin(), times.begin() + samples / 2, times.end());
  return times[samples / 2];
}

Ceilings measure_ceilings(bool small) {
  Ceilings out;
  const auto from = random({small ? 1 << 22 : 1 << 28});
  auto to = at::empty_like(from);
  out.copy = 2e3 * static_cast<double>(from.nbytes()) /
             milliseconds([&] { to.copy_(from); });
  const int64_t side = small ? 384 : 8192;
  out.float32 = product(side, at::kFloat);
  out.bfloat16 = product(side, at::kBFloat16);
  out.float16 = product(side, at::kHalf);
  return out;
}

}  // namespace declip::bench

#include "declip/threads.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

namespace declip {
namespace {

int affinity_threads() {
#ifdef __linux__
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

/// CPUs worth of quota in a container (cgroup v2, then v1), 0 where unlimited.
double quota_threads() {
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (v2 >> quota >> period) {
    return quota == "max" || period <= 0 ? 0
                                         : std::atof(quota.c_str()) / period;
  }
  std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double microseconds = 0;
  if (v1_quota >> microseconds && v1_period >> period && microseconds > 0 &&
      period > 0) {
    return microseconds / period;
  }
  return 0;
}

}  // namespace

int default_threads() {
  if (const char* text = std::getenv("DECLIP_THREADS")) {
    const int asked = std::atoi(text);
    if (asked > 0) return asked;
  }
  int threads = affinity_threads();
  const double quota = quota_threads();
  if (quota > 0) {
    threads = std::min(threads, static_cast<int>(std::ceil(quota)));
  }
  return std::max(threads, 1);
}

}  // namespace declip

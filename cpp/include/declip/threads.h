#pragma once

namespace declip {

/// Threads this process may use: DECLIP_THREADS if set, else the smaller of
/// the CPU affinity mask and the cgroup's CPU quota, at least 1.
int default_threads();

}  // namespace declip

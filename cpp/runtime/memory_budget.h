#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

namespace declip {

/// How many bytes the process has taken for large tensors and decoded pictures,
/// and how many it may. Any thread.
class MemoryBudget {
 public:
  /// False, and nothing is taken, where that would be more than the limit.
  bool take(int64_t bytes) {
    int64_t used = used_;
    do {
      if (bytes > limit_ - used) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes));
    return true;
  }

  /// For what is there already.
  void add(int64_t bytes) { used_ += bytes; }
  void give_back(int64_t bytes) { used_ -= bytes; }

  void set_limit(int64_t bytes) { limit_ = bytes; }
  int64_t limit() const { return limit_; }
  int64_t used() const { return used_; }

 private:
  std::atomic<int64_t> used_{0};
  std::atomic<int64_t> limit_{std::numeric_limits<int64_t>::max()};
};

/// The process's one.
inline MemoryBudget& memory_budget() {
  static MemoryBudget budget;
  return budget;
}

}  // namespace declip

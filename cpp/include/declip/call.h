#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "declip/error.h"

namespace declip {

/// What a running call owes its caller: whether to stop, and how far it is.
/// Passed down by reference; `check()` is asked between windows, transformer
/// blocks and class planes.
struct Call {
  std::shared_ptr<std::atomic<bool>> cancelled;  // null: cannot be cancelled
  std::function<void(int64_t done, int64_t total)> progress;  // may be empty

  void check() const {
    if (cancelled && cancelled->load(std::memory_order_relaxed)) {
      throw Error(ErrorCode::kAborted, "The call was cancelled.");
    }
  }
  void report(int64_t done, int64_t total) const {
    if (progress) progress(done, total);
  }
};

}  // namespace declip

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "declip/error.h"

namespace declip {

/// What a call is at, as its progress is told.
enum class Step { kLoad, kText, kEncode, kPixels, kMeasure, kTrain };

inline const char* step_name(Step step) {
  switch (step) {
    case Step::kLoad:
      return "load";
    case Step::kText:
      return "text";
    case Step::kEncode:
      return "encode";
    case Step::kPixels:
      return "pixels";
    case Step::kMeasure:
      return "measure";
    case Step::kTrain:
      break;
  }
  return "train";
}

/// What a running call owes its caller: whether to stop, and how far it is.
/// Passed down by reference; `check()` is asked between windows, transformer
/// blocks and class planes.
struct Call {
  std::shared_ptr<std::atomic<bool>> cancelled;  // null: cannot be cancelled
  /// May be empty.
  std::function<void(Step step, int64_t done, int64_t total)> progress;

  void check() const {
    if (cancelled && cancelled->load(std::memory_order_relaxed)) {
      throw Error(ErrorCode::kAborted, "The call was cancelled.");
    }
  }
  void report(Step step, int64_t done, int64_t total) const {
    if (progress) progress(step, done, total);
  }
};

}  // namespace declip

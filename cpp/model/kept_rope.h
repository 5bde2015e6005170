#pragma once

#include <cstdint>
#include <mutex>
#include <utility>

#include "model/rope.h"
#include "model/walk.h"

namespace declip {

/// The table of the last grid asked for, on its device: every block of a call
/// asks for the same. May be asked from several threads.
class KeptRope {
 public:
  /// make(grid): the table, wherever it is made.
  template <typename Make>
  RopeTable get(Grid grid, at::Device device, const Make& make) const {
    const std::lock_guard lock(mutex_);
    const std::pair key(grid.h, grid.w);
    if (key_ != key) {
      table_ = make(grid);
      table_.cos = table_.cos.to(device);
      table_.sin = table_.sin.to(device);
      key_ = key;
    }
    return table_;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::pair<int64_t, int64_t> key_{-1, -1};
  mutable RopeTable table_;
};

}  // namespace declip

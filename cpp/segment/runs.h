#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace declip {

/// Counts that alternate, from what `next` says of every stretch of pixels.
class Runs {
 public:
  void add(int64_t length, bool inside) {
    if (length == 0) return;
    if (inside != inside_) {
      counts_.push_back(static_cast<uint32_t>(run_));
      run_ = 0;
      inside_ = inside;
    }
    run_ += length;
  }
  std::vector<uint32_t> finish() {
    counts_.push_back(static_cast<uint32_t>(run_));
    return std::move(counts_);
  }

 private:
  std::vector<uint32_t> counts_;
  int64_t run_ = 0;
  bool inside_ = false;
};

}  // namespace declip

#pragma once

#include <cstdint>
#include <vector>

namespace declip {

/// Writes run lengths as Rle has them from stretches of pixels.
class RunWriter {
 public:
  explicit RunWriter(std::vector<uint32_t>& counts) : counts_(counts) {}

  void add(int64_t length, bool inside) {
    if (length == 0) return;
    if (inside != inside_) {
      counts_.push_back(static_cast<uint32_t>(run_));
      run_ = 0;
      inside_ = inside;
    }
    run_ += length;
  }
  void finish() { counts_.push_back(static_cast<uint32_t>(run_)); }

 private:
  std::vector<uint32_t>& counts_;
  int64_t run_ = 0;
  bool inside_ = false;
};

}  // namespace declip

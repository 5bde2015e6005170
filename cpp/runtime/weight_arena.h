#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace declip {

/// Weights side by side on huge pages. A tower reads all of its weights in
/// every pass, so that small pages would cost it misses of the address cache,
/// and huge pages of their own would leave a fifth of each weight's memory
/// unused.
class WeightArena {
 public:
  /// Null if the system has no memory.
  void* take(size_t bytes);
  /// False if the block is not from here. A chunk goes back to the system with
  /// its last block.
  bool put(void* block);

 private:
  struct Chunk {
    size_t size = 0;
    int64_t blocks = 0;  // in use
  };

  void* new_chunk(size_t size);

  std::mutex mutex_;
  std::map<uintptr_t, Chunk> chunks_;  // by address
  uintptr_t next_ = 0, end_ = 0;       // of the chunk that is being filled
  // Where chunks have ever been: most blocks that are put are told apart by it.
  std::atomic<uintptr_t> lowest_{UINTPTR_MAX}, highest_{0};
};

}  // namespace declip

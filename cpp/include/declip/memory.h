#pragma once

#include <cstddef>
#include <cstdint>

namespace declip {

/// While one lives, this thread's large tensors come from a pool of huge pages
/// (Linux; elsewhere nothing changes). Activations have the same few sizes over
/// and over, and a fresh page costs a virtual machine up to 15 microseconds:
/// more than the arithmetic on what it holds. Tensors may outlive the scope and
/// may be freed on any thread.
class MemoryScope {
 public:
  MemoryScope();
  ~MemoryScope();
  MemoryScope(const MemoryScope&) = delete;
  MemoryScope& operator=(const MemoryScope&) = delete;
};

/// While one lives, this thread's large tensors are weights: they lie side by
/// side on huge pages and stay as long as their model.
class WeightScope {
 public:
  WeightScope();
  ~WeightScope();
  WeightScope(const WeightScope&) = delete;
  WeightScope& operator=(const WeightScope&) = delete;
};

/// For work of many steps that each need the same again, such as training:
/// while one lives the pool keeps free what was in use at once, instead of at
/// most 256 MB, and with the last one all of it goes.
class KeptMemory {
 public:
  KeptMemory();
  ~KeptMemory();
  KeptMemory(const KeptMemory&) = delete;
  KeptMemory& operator=(const KeptMemory&) = delete;
};

/// What the pool of activations holds.
struct PoolBytes {
  size_t used = 0, free = 0;
};
PoolBytes pool_bytes();

/// Returns what the pool has free to the system, unless it is to be kept.
void give_back_memory();

/// Bytes of large tensors (256 KB and more, the pool's free memory included;
/// Linux) and of what was reserved, and how many there may be.
struct MemoryUse {
  int64_t used = 0;
  int64_t budget = 0;
};
MemoryUse memory_use();

/// From now on a tensor that would take more than so many bytes in all is
/// refused with kOutOfMemory, once the pool has nothing free.
void set_memory_budget(int64_t bytes);

/// Counts memory that others hold, such as decoded pictures. False, and nothing
/// is counted, where it would be more than the budget.
bool reserve_memory(int64_t bytes);
void release_memory(int64_t bytes);

}  // namespace declip

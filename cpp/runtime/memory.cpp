#include "declip/memory.h"

#include "runtime/memory_budget.h"

#if defined(__linux__)

#include <c10/core/CPUAllocator.h>
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "declip/error.h"
#include "runtime/free_ranges.h"
#include "runtime/huge_pages.h"
#include "runtime/weight_arena.h"

namespace declip {
namespace {

/// Smaller blocks are malloc's.
constexpr size_t kSmallest = size_t{256} << 10;
/// What sizes are multiples of.
constexpr size_t kUnit = size_t{64} << 10;
/// Free bytes that are kept at most, unless KeptMemory asks for more.
constexpr size_t kMost = size_t{256} << 20;

thread_local int scopes = 0;  // of this thread
thread_local int weight_scopes = 0;

std::string megabytes(int64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MB";
}

[[noreturn]] void refuse(size_t bytes) {
  const auto& budget = memory_budget();
  throw Error(ErrorCode::kOutOfMemory,
              "Out of memory: a tensor of " +
                  megabytes(static_cast<int64_t>(bytes)) + " was asked for, " +
                  megabytes(budget.used()) + " are in use, and the budget is " +
                  megabytes(budget.limit()) +
                  ". Use a smaller picture (shortSide), fewer pictures or "
                  "texts at a time, or a smaller model, or raise the budget: "
                  "configure({ memoryBudget }) in bytes.");
}

/// What malloc holds for a block, where that counts as large, else 0. The same
/// for as long as the block lives.
int64_t large_bytes(void* block) {
  const size_t size = malloc_usable_size(block);
  return size >= kSmallest ? static_cast<int64_t>(size) : 0;
}

/// Memory on huge pages. Never destroyed: tensors may be freed at exit.
class Pool final : public c10::Allocator {
 public:
  explicit Pool(c10::Allocator* fallback) : fallback_(fallback) {}

  c10::DataPtr allocate(size_t bytes) override {
    void* block = nullptr;
    if (weight_scopes > 0 && bytes >= kSmallest) {
      block = weights_.take(bytes);
    } else if (scopes > 0 && bytes >= kSmallest) {
      block = take(round_up(bytes, kUnit));
    }
    if (block == nullptr) block = take_from_fallback(bytes);
    return {block, block, &Pool::release, c10::DeviceType::CPU};
  }

  /// Counts memory; gives back what is free where there would be too much.
  bool count(size_t bytes) {
    const auto more = static_cast<int64_t>(bytes);
    if (memory_budget().take(more)) return true;
    {
      const std::lock_guard lock(mutex_);
      shrink(0);
    }
    return memory_budget().take(more);
  }

  /// For both kinds of blocks: LibTorch also frees what it only knows the
  /// address of.
  c10::DeleterFnPtr raw_deleter() const override { return &Pool::release; }

  void keep() {
    const std::lock_guard lock(mutex_);
    ++keepers_;
  }

  void keep_no_longer() {
    const std::lock_guard lock(mutex_);
    if (--keepers_ == 0) give_all_back();
  }

  void give_back() {
    const std::lock_guard lock(mutex_);
    if (keepers_ == 0) give_all_back();
  }

  PoolBytes bytes() {
    const std::lock_guard lock(mutex_);
    return {used_bytes_, free_.bytes()};
  }

  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static void release(void* block);

  void give_all_back() {
    most_used_ = used_bytes_;
    shrink(0);
  }

  /// The fallback's error says how much was asked for.
  void* take_from_fallback(size_t bytes) {
    if (bytes < kSmallest) {
      void* block = fallback_->raw_allocate(bytes);
      memory_budget().add(large_bytes(block));
      return block;
    }
    if (!count(bytes)) refuse(bytes);
    try {
      void* block = fallback_->raw_allocate(bytes);
      memory_budget().add(large_bytes(block) - static_cast<int64_t>(bytes));
      return block;
    } catch (...) {
      memory_budget().give_back(static_cast<int64_t>(bytes));
      throw;
    }
  }

  /// Null if there is no memory.
  void* take(size_t size) {
    const std::lock_guard lock(mutex_);
    uintptr_t start = free_.take(size);
    if (start == 0) {
      const size_t fresh = round_up(size, kHugePage);
      shrink(limit(fresh));
      void* mapped = map_pages(fresh);
      if (mapped == nullptr) {
        shrink(0);
        mapped = map_pages(fresh);
      }
      if (mapped == nullptr) return nullptr;
      start = reinterpret_cast<uintptr_t>(mapped);
      free_.put({start + size, fresh - size});
    }
    used_.emplace(start, size);
    used_bytes_ += size;
    most_used_ = std::max(most_used_, used_bytes_);
    return reinterpret_cast<void*>(start);
  }

  /// Free bytes that may stay while `more` are to be mapped: with what is in
  /// use they are no more than once were in use together.
  size_t limit(size_t more = 0) const {
    const size_t used = used_bytes_ + more;
    return keepers_ > 0 && most_used_ > used
               ? std::max(kMost, most_used_ - used)
               : kMost;
  }

  void put(void* block) {
    if (weights_.put(block)) return;
    const auto start = reinterpret_cast<uintptr_t>(block);
    // Of the fallback's blocks few begin there.
    if (start % kUnit == 0) {
      const std::lock_guard lock(mutex_);
      const auto found = used_.find(start);
      if (found != used_.end()) {
        free_.put({start, found->second});
        used_bytes_ -= found->second;
        used_.erase(found);
        shrink(limit());
        return;
      }
    }
    memory_budget().give_back(large_bytes(block));
    fallback_->raw_deallocate(block);
  }

  /// Whole huge pages, so that none is broken up.
  void shrink(size_t limit) {
    while (free_.bytes() > limit) {
      const auto [start, size] = free_.cut(free_.bytes() - limit, kHugePage);
      if (size == 0) return;
      unmap_pages(reinterpret_cast<void*>(start), size);
    }
  }

  c10::Allocator* fallback_;
  WeightArena weights_;
  std::mutex mutex_;
  FreeRanges free_;
  std::unordered_map<uintptr_t, size_t> used_;
  size_t used_bytes_ = 0, most_used_ = 0;
  int keepers_ = 0;
};

/// Takes the place of LibTorch's allocator at the first use.
Pool& pool() {
  static Pool* const instance = [] {
    auto* made = new Pool(c10::GetCPUAllocator());
    c10::SetCPUAllocator(made, /*priority=*/1);
    return made;
  }();
  return *instance;
}

void Pool::release(void* block) { pool().put(block); }

}  // namespace

MemoryScope::MemoryScope() {
  pool();
  ++scopes;
}

MemoryScope::~MemoryScope() { --scopes; }

WeightScope::WeightScope() {
  pool();
  ++weight_scopes;
}

WeightScope::~WeightScope() { --weight_scopes; }

KeptMemory::KeptMemory() { pool().keep(); }

KeptMemory::~KeptMemory() { pool().keep_no_longer(); }

PoolBytes pool_bytes() { return pool().bytes(); }

void give_back_memory() { pool().give_back(); }

void set_memory_budget(int64_t bytes) {
  pool();  // counts from here on
  memory_budget().set_limit(bytes);
}

bool reserve_memory(int64_t bytes) {
  return pool().count(static_cast<size_t>(bytes));
}

}  // namespace declip

#else

namespace declip {

MemoryScope::MemoryScope() {}
MemoryScope::~MemoryScope() {}

WeightScope::WeightScope() {}
WeightScope::~WeightScope() {}

KeptMemory::KeptMemory() {}
KeptMemory::~KeptMemory() {}

PoolBytes pool_bytes() { return {}; }

void give_back_memory() {}

void set_memory_budget(int64_t bytes) { memory_budget().set_limit(bytes); }

bool reserve_memory(int64_t bytes) { return memory_budget().take(bytes); }

}  // namespace declip

#endif

namespace declip {

MemoryUse memory_use() {
  return {memory_budget().used(), memory_budget().limit()};
}

void release_memory(int64_t bytes) { memory_budget().give_back(bytes); }

}  // namespace declip

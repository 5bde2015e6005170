#include "declip/memory.h"

#if defined(__linux__)

#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>

#include "memory/huge_pages.h"
#include "memory/weight_arena.h"

namespace declip {
namespace {

/// Smaller blocks are malloc's.
constexpr size_t kSmallest = size_t{256} << 10;
/// Below half a huge page sizes are multiples of this, from there on of huge
/// pages: only activations come from here, which do not stay.
constexpr size_t kUnit = size_t{64} << 10;
/// Free bytes that are kept at most, unless keep_memory() asks for more.
constexpr size_t kMost = size_t{256} << 20;

thread_local int scopes = 0;  // of this thread
thread_local int weight_scopes = 0;

size_t rounded(size_t bytes) {
  return round_up(bytes, bytes < kHugePage / 2 ? kUnit : kHugePage);
}

/// Blocks that begin on a huge page. Never destroyed: tensors may be freed at
/// exit.
class Pool final : public c10::Allocator {
 public:
  explicit Pool(c10::Allocator* fallback) : fallback_(fallback) {}

  c10::DataPtr allocate(size_t bytes) override {
    void* block = nullptr;
    if (weight_scopes > 0 && bytes >= kSmallest) {
      block = weights_.take(bytes);
    } else if (scopes > 0 && bytes >= kSmallest) {
      block = take(rounded(bytes));
    }
    // The fallback's error says how much was asked for.
    if (block == nullptr) block = fallback_->raw_allocate(bytes);
    return {block, block, &Pool::release, c10::DeviceType::CPU};
  }

  /// For both kinds of blocks: LibTorch also frees what it only knows the
  /// address of.
  c10::DeleterFnPtr raw_deleter() const override { return &Pool::release; }

  void keep() {
    const std::lock_guard lock(mutex_);
    keeping_ = true;
  }

  void give_back() {
    const std::lock_guard lock(mutex_);
    keeping_ = false;
    most_used_ = used_bytes_;
    shrink(0);
  }

  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static void release(void* block);

  /// The smallest free block that is large enough and not much too large, or a
  /// fresh one; null if the system has none.
  void* take(size_t size) {
    const std::lock_guard lock(mutex_);
    const auto found = free_.lower_bound(size);
    if (found != free_.end() && found->first <= rounded(size + size / 4)) {
      void* block = found->second;
      use(block, found->first);
      free_bytes_ -= found->first;
      free_.erase(found);
      return block;
    }
    shrink(limit(size));
    void* block = map_pages(size);
    if (block == nullptr) {
      shrink(0);
      block = map_pages(size);
    }
    if (block != nullptr) use(block, size);
    return block;
  }

  void use(void* block, size_t size) {
    used_[block] = size;
    used_bytes_ += size;
    most_used_ = std::max(most_used_, used_bytes_);
  }

  /// Free bytes that may stay while `more` are to be mapped: with what is in
  /// use they are no more than once were in use together.
  size_t limit(size_t more = 0) const {
    const size_t used = used_bytes_ + more;
    return keeping_ && most_used_ > used ? std::max(kMost, most_used_ - used)
                                         : kMost;
  }

  void put(void* block) {
    if (weights_.put(block)) return;
    // Ours lie on huge pages; of the fallback's next to none do.
    if (reinterpret_cast<uintptr_t>(block) % kHugePage == 0) {
      const std::lock_guard lock(mutex_);
      const auto found = used_.find(block);
      if (found != used_.end()) {
        free_.emplace(found->second, block);
        free_bytes_ += found->second;
        used_bytes_ -= found->second;
        used_.erase(found);
        shrink(limit());
        return;
      }
    }
    fallback_->raw_deallocate(block);
  }

  /// Largest first: they cost least to get again.
  void shrink(size_t limit) {
    while (free_bytes_ > limit) {
      const auto last = std::prev(free_.end());
      unmap_pages(last->second, last->first);
      free_bytes_ -= last->first;
      free_.erase(last);
    }
  }

  c10::Allocator* fallback_;
  WeightArena weights_;
  std::mutex mutex_;
  std::multimap<size_t, void*> free_;  // by size
  std::map<void*, size_t> used_;
  size_t free_bytes_ = 0, used_bytes_ = 0, most_used_ = 0;
  bool keeping_ = false;
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

void keep_memory() { pool().keep(); }

void give_back_memory() { pool().give_back(); }

}  // namespace declip

#else

namespace declip {

MemoryScope::MemoryScope() {}
MemoryScope::~MemoryScope() {}

WeightScope::WeightScope() {}
WeightScope::~WeightScope() {}

void keep_memory() {}

void give_back_memory() {}

}  // namespace declip

#endif

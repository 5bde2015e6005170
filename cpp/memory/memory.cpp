#include "declip/memory.h"

#if defined(__linux__)

#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <cstdint>
#include <map>
#include <mutex>

namespace declip {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
/// Smaller blocks are malloc's: rounding them up would waste too much.
constexpr size_t kSmallest = size_t{1} << 20;
/// Free bytes that are kept at most.
constexpr size_t kMost = size_t{256} << 20;

thread_local int scopes = 0;  // of this thread

/// Blocks of whole huge pages. Never destroyed: tensors may be freed at exit.
class Pool final : public c10::Allocator {
 public:
  explicit Pool(c10::Allocator* fallback) : fallback_(fallback) {}

  c10::DataPtr allocate(size_t bytes) override {
    void* block = nullptr;
    if (scopes > 0 && bytes >= kSmallest) {
      block = take((bytes + kHugePage - 1) / kHugePage * kHugePage);
    }
    // The fallback's error says how much was asked for.
    if (block == nullptr) block = fallback_->raw_allocate(bytes);
    return {block, block, &Pool::release, c10::DeviceType::CPU};
  }

  /// For both kinds of blocks: LibTorch also frees what it only knows the
  /// address of.
  c10::DeleterFnPtr raw_deleter() const override { return &Pool::release; }

  void give_back() {
    const std::lock_guard lock(mutex_);
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
    if (found != free_.end() && found->first <= size + size / 4 + kHugePage) {
      void* block = found->second;
      used_[block] = found->first;
      free_bytes_ -= found->first;
      free_.erase(found);
      return block;
    }
    void* block = map(size);
    if (block == nullptr) {
      shrink(0);
      block = map(size);
    }
    if (block != nullptr) used_[block] = size;
    return block;
  }

  void put(void* block) {
    // Ours lie on huge pages; of the fallback's next to none do.
    if (reinterpret_cast<uintptr_t>(block) % kHugePage == 0) {
      const std::lock_guard lock(mutex_);
      const auto found = used_.find(block);
      if (found != used_.end()) {
        free_.emplace(found->second, block);
        free_bytes_ += found->second;
        used_.erase(found);
        shrink(kMost);
        return;
      }
    }
    fallback_->raw_deallocate(block);
  }

  /// Largest first: they cost least to get again.
  void shrink(size_t limit) {
    while (free_bytes_ > limit) {
      const auto last = std::prev(free_.end());
      munmap(last->second, last->first);
      free_bytes_ -= last->first;
      free_.erase(last);
    }
  }

  /// Aligned to a huge page: maps one more and cuts off both ends.
  static void* map(size_t size) {
    void* start = mmap(nullptr,
                       size + kHugePage,
                       PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS,
                       -1,
                       0);
    if (start == MAP_FAILED) return nullptr;
    const auto address = reinterpret_cast<uintptr_t>(start);
    const uintptr_t block = (address + kHugePage - 1) / kHugePage * kHugePage;
    const size_t before = block - address;
    if (before > 0) munmap(start, before);
    munmap(reinterpret_cast<void*>(block + size), kHugePage - before);
    madvise(reinterpret_cast<void*>(block), size, MADV_HUGEPAGE);
    return reinterpret_cast<void*>(block);
  }

  c10::Allocator* fallback_;
  std::mutex mutex_;
  std::multimap<size_t, void*> free_;  // by size
  std::map<void*, size_t> used_;
  size_t free_bytes_ = 0;
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

void give_back_memory() { pool().give_back(); }

}  // namespace declip

#else

namespace declip {

MemoryScope::MemoryScope() {}
MemoryScope::~MemoryScope() {}

void give_back_memory() {}

}  // namespace declip

#endif

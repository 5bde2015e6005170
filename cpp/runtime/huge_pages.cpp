#include "runtime/huge_pages.h"

#if defined(__linux__)

#include <sys/mman.h>

#include <atomic>
#include <cstdint>

#include "runtime/memory_budget.h"

namespace declip {

namespace {

/// Where the last mapping begins.
std::atomic<uintptr_t> lowest{0};

void* map(uintptr_t hint, size_t size) {
  void* start = mmap(reinterpret_cast<void*>(hint),
                     size,
                     PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS,
                     -1,
                     0);
  return start == MAP_FAILED ? nullptr : start;
}

void unmap(uintptr_t start, size_t size) {
  if (size > 0) munmap(reinterpret_cast<void*>(start), size);
}

// Ends where the last mapping begins, if that is free, so that both can become
// one range. Else it is made a page too large, and both ends are cut off.
void* map_aligned(size_t size) {
  const uintptr_t last = lowest;
  void* start = map(last > size ? last - size : 0, size);
  if (start == nullptr) return nullptr;
  if (reinterpret_cast<uintptr_t>(start) % kHugePage > 0) {
    munmap(start, size);
    start = map(0, size + kHugePage);
    if (start == nullptr) return nullptr;
    const auto address = reinterpret_cast<uintptr_t>(start);
    const uintptr_t block = round_up(address, kHugePage);
    unmap(address, block - address);
    unmap(block + size, address + kHugePage - block);
    start = reinterpret_cast<void*>(block);
  }
  lowest = reinterpret_cast<uintptr_t>(start);
  madvise(start, size, MADV_HUGEPAGE);
  return start;
}

}  // namespace

void* map_pages(size_t size) {
  const auto bytes = static_cast<int64_t>(size);
  if (!memory_budget().take(bytes)) return nullptr;
  void* start = map_aligned(size);
  if (start == nullptr) memory_budget().give_back(bytes);
  return start;
}

// What lay above the lowest mapping is the lowest then, so that memory taken
// and given back for days stays where it is.
void unmap_pages(void* block, size_t size) {
  munmap(block, size);
  memory_budget().give_back(static_cast<int64_t>(size));
  auto start = reinterpret_cast<uintptr_t>(block);
  lowest.compare_exchange_strong(start, start + size);
}

}  // namespace declip

#endif

#include "memory/huge_pages.h"

#if defined(__linux__)

#include <sys/mman.h>

#include <cstdint>

namespace declip {

// Maps one page more and cuts off both ends.
void* map_pages(size_t size) {
  void* start = mmap(nullptr,
                     size + kHugePage,
                     PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS,
                     -1,
                     0);
  if (start == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(start);
  const uintptr_t block = round_up(address, kHugePage);
  const size_t before = block - address;
  if (before > 0) munmap(start, before);
  munmap(reinterpret_cast<void*>(block + size), kHugePage - before);
  madvise(reinterpret_cast<void*>(block), size, MADV_HUGEPAGE);
  return reinterpret_cast<void*>(block);
}

void unmap_pages(void* block, size_t size) { munmap(block, size); }

}  // namespace declip

#endif

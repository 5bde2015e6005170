#include "declip/code_pages.h"

#ifdef __linux__
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#endif

namespace declip {

#ifdef __linux__

namespace {

int drop_of_library(dl_phdr_info* library, size_t, void* dropped) {
  if (std::strstr(library->dlpi_name, "libtorch_cpu") == nullptr) return 0;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < library->dlpi_phnum; ++i) {
    const auto& part = library->dlpi_phdr[i];
    const bool code = part.p_type == PT_LOAD && (part.p_flags & PF_X) != 0 &&
                      (part.p_flags & PF_W) == 0;
    if (!code) continue;
    const uintptr_t start = library->dlpi_addr + part.p_vaddr;
    // Whole pages only: what shares one with the next part stays.
    const uintptr_t first = (start + page - 1) / page * page;
    const uintptr_t end = (start + part.p_filesz) / page * page;
    if (end <= first) continue;
    if (madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED) ==
        0) {
      *static_cast<size_t*>(dropped) += end - first;
    }
  }
  return 1;
}

}  // namespace

size_t drop_code_pages() {
  size_t dropped = 0;
  dl_iterate_phdr(drop_of_library, &dropped);
  return dropped;
}

#else

size_t drop_code_pages() { return 0; }

#endif

}  // namespace declip

#include "files/mapping_guard.h"

#ifndef _WIN32

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <mutex>

namespace declip {

/// One guarded mapping. Slots are used again and never freed: the signal
/// handler walks them without a lock.
struct MappingGuard::Slot {
  std::atomic<uintptr_t> begin{0};  // 0 while it is free
  std::atomic<uintptr_t> end{0};
  std::atomic<bool> lost{false};
  Slot* next = nullptr;
};

struct GuardedMappings {
  static std::atomic<MappingGuard::Slot*> first;
  static std::mutex mutex;  // of taking a slot
  static struct sigaction previous;

  static void install();
  static void on_bus_error(int signal, siginfo_t* info, void* context);
  static bool replace(const siginfo_t& info);
};

std::atomic<MappingGuard::Slot*> GuardedMappings::first{nullptr};
std::mutex GuardedMappings::mutex;
struct sigaction GuardedMappings::previous{};

void GuardedMappings::install() {
  static std::once_flag once;
  std::call_once(once, [] {
    // The handler outlives every reason to unload this library.
    Dl_info self{};
    if (::dladdr(reinterpret_cast<void*>(&on_bus_error), &self) != 0) {
      ::dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
    struct sigaction action{};
    action.sa_sigaction = &on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, &previous);
  });
}

/// Only what may be called in a signal handler: atomics and system calls.
void GuardedMappings::on_bus_error(int signal, siginfo_t* info, void* context) {
  const int code = errno;
  const bool replaced = replace(*info);
  errno = code;
  if (replaced) return;
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);
  } else {
    previous.sa_handler(signal);
  }
}

bool GuardedMappings::replace(const siginfo_t& info) {
#ifdef BUS_MCEERR_AR
  // The memory itself is broken.
  if (info.si_code == BUS_MCEERR_AR || info.si_code == BUS_MCEERR_AO) {
    return false;
  }
#endif
  const auto address = reinterpret_cast<uintptr_t>(info.si_addr);
  for (auto* slot = first.load(); slot != nullptr; slot = slot->next) {
    const uintptr_t begin = slot->begin.load(), end = slot->end.load();
    if (begin == 0 || address < begin || address >= end) continue;
    slot->lost.store(true);
    const auto page_size = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const uintptr_t page = address / page_size * page_size;
    // All that follows lies beyond the file's new end too.
    void* const zeros = ::mmap(reinterpret_cast<void*>(page),
                               end - page,
                               PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                               -1,
                               0);
    return zeros != MAP_FAILED;
  }
  return false;
}

MappingGuard::MappingGuard(void* begin, size_t size) {
  GuardedMappings::install();
  const std::lock_guard lock(GuardedMappings::mutex);
  slot_ = GuardedMappings::first.load();
  while (slot_ != nullptr && slot_->begin.load() != 0) slot_ = slot_->next;
  if (slot_ == nullptr) {
    slot_ = new Slot();
    slot_->next = GuardedMappings::first.load();
    GuardedMappings::first.store(slot_);
  }
  const auto address = reinterpret_cast<uintptr_t>(begin);
  slot_->lost.store(false);
  slot_->end.store(address + size);
  slot_->begin.store(address);
}

MappingGuard::~MappingGuard() { slot_->begin.store(0); }

bool MappingGuard::lost() const { return slot_->lost.load(); }

}  // namespace declip

#else

namespace declip {

// Files are read there, not mapped.
MappingGuard::MappingGuard(void*, size_t) : slot_(nullptr) {}
MappingGuard::~MappingGuard() = default;
bool MappingGuard::lost() const { return false; }

}  // namespace declip

#endif

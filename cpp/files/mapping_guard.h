#pragma once

#include <cstddef>

namespace declip {

/// Makes the mapping of a file survive that another process shortens the file,
/// or that its disk fails. Reading a page that is gone raises SIGBUS in the
/// thread that reads, wherever that is: in LibTorch, in OpenMP's threads, in a
/// worker of Node. The handler puts zeros in place of the rest of the mapping
/// and notes that it is lost, so the read goes on and whoever uses the numbers
/// asks lost() afterwards. Checking the size before a read would leave a gap
/// between the two, and copying all weights first would cost their size again.
///
/// The handler is installed with the first guard. Signals from any other
/// address go to the handler that was there before.
class MappingGuard {
 public:
  MappingGuard(void* begin, size_t size);
  ~MappingGuard();
  MappingGuard(const MappingGuard&) = delete;
  MappingGuard& operator=(const MappingGuard&) = delete;

  /// Whether something read since the start was not the file's.
  bool lost() const;

 private:
  struct Slot;
  friend struct GuardedMappings;

  Slot* slot_;
};

}  // namespace declip

#pragma once

#include <cstddef>

namespace declip {

/// Unmaps the resident pages of LibTorch's code, which come back from the
/// page cache when they are run again: loading it touches some 60 MB of which
/// a model needs a third. Returns the bytes that were looked at, 0 where there
/// is nothing to do (Linux alone). Any thread, at any time; a debugger's
/// breakpoints in LibTorch are lost.
size_t drop_code_pages();

}  // namespace declip

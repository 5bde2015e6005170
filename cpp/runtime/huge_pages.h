#pragma once

#include <cstddef>

namespace declip {

constexpr size_t kHugePage = size_t{2} << 20;

constexpr size_t round_up(size_t size, size_t unit) {
  return (size + unit - 1) / unit * unit;
}

/// Fresh memory that begins on a huge page and uses such pages for all whole
/// ones in it; null if the system or the budget has none. Linux.
void* map_pages(size_t size);
void unmap_pages(void* block, size_t size);

}  // namespace declip

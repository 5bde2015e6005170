#include "runtime/weight_arena.h"

#if defined(__linux__)

#include <algorithm>
#include <iterator>

#include "runtime/huge_pages.h"

namespace declip {
namespace {

constexpr size_t kChunk = size_t{32} << 20;
constexpr size_t kAlignment = 64;

}  // namespace

void* WeightArena::new_chunk(size_t size) {
  void* start = map_pages(size);
  if (start == nullptr) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(start);
  chunks_[address] = {size, 0};
  lowest_ = std::min<uintptr_t>(lowest_, address);
  highest_ = std::max<uintptr_t>(highest_, address + size);
  return start;
}

void* WeightArena::take(size_t bytes) {
  const size_t size = round_up(bytes, kAlignment);
  const std::lock_guard lock(mutex_);
  if (size > kChunk / 4) {
    void* own = new_chunk(round_up(size, kHugePage));
    if (own != nullptr) chunks_[reinterpret_cast<uintptr_t>(own)].blocks = 1;
    return own;
  }
  if (end_ - next_ < size) {
    void* fresh = new_chunk(kChunk);
    if (fresh == nullptr) return nullptr;
    next_ = reinterpret_cast<uintptr_t>(fresh);
    end_ = next_ + kChunk;
  }
  const uintptr_t block = next_;
  next_ += size;
  ++std::prev(chunks_.upper_bound(block))->second.blocks;
  return reinterpret_cast<void*>(block);
}

bool WeightArena::put(void* block) {
  const auto address = reinterpret_cast<uintptr_t>(block);
  if (address < lowest_ || address >= highest_) return false;
  const std::lock_guard lock(mutex_);
  const auto after = chunks_.upper_bound(address);
  if (after == chunks_.begin()) return false;
  const auto chunk = std::prev(after);
  if (address >= chunk->first + chunk->second.size) return false;
  if (--chunk->second.blocks == 0) {
    if (chunk->first + chunk->second.size == end_) next_ = end_ = 0;
    unmap_pages(reinterpret_cast<void*>(chunk->first), chunk->second.size);
    chunks_.erase(chunk);
  }
  return true;
}

}  // namespace declip

#endif

#include "declip/memory.h"

#include <ATen/ATen.h>

#include <optional>
#include <thread>
#include <vector>

#include "declip/error.h"
#include "tap.h"

namespace {

constexpr int64_t kFloats = 3 << 20;  // 12 MB: from the pool

}  // namespace

TEST(memory_blocks_are_used_again) {
  const declip::MemoryScope scope;
  const void* first = at::empty({kFloats}, at::kFloat).const_data_ptr();
  CHECK(at::empty({kFloats}, at::kFloat).const_data_ptr() == first);
}

TEST(memory_outlives_its_scope_and_thread) {
  at::Tensor kept;
  std::thread([&] {
    const declip::MemoryScope scope;
    kept = at::ones({kFloats}, at::kFloat);
  }).join();
  CHECK_CLOSE(kept.sum().item<double>(), kFloats, 0);
  declip::give_back_memory();  // what is in use stays
  CHECK_CLOSE(kept.sum().item<double>(), kFloats, 0);
  std::thread([taken = std::move(kept)]() mutable { taken.reset(); }).join();
}

TEST(memory_of_many_sizes_keeps_its_contents) {
  const declip::MemoryScope scope;
  std::vector<at::Tensor> held;
  for (int64_t i = 0; i < 60; ++i) {
    held.push_back(at::full({(i * 37 % 23 + 1) << 17}, i, at::kFloat));
    if (i % 3 == 0) held.erase(held.begin());
  }
  for (const auto& tensor : held) {
    CHECK(tensor.eq(tensor[0]).all().item<bool>());
  }
}

/// How much of 432 MB, freed in blocks of 12 MB, comes back with its contents
/// in blocks of `size` MB. Fresh pages are zero.
double kept_of_432_mb(int64_t size) {
  std::vector<at::Tensor> held;
  for (int64_t i = 0; i < 36; ++i) {
    held.push_back(at::ones({kFloats}, at::kFloat));
  }
  held.clear();
  double ones = 0;
  for (int64_t i = 0; i < 432 / size; ++i) {
    held.push_back(at::empty({size << 18}, at::kFloat));
    ones += held.back().sum().item<double>();
  }
  return ones / (432 << 18);
}

TEST(memory_is_kept_for_the_next_step_if_asked_for) {
  const declip::MemoryScope scope;
  declip::give_back_memory();
  CHECK(kept_of_432_mb(12) < 0.7);
  declip::give_back_memory();
  {
    std::optional<declip::KeptMemory> first;
    first.emplace();
    const declip::KeptMemory second;
    first.reset();
    CHECK(kept_of_432_mb(12) == 1);
    declip::give_back_memory();  // not what is kept
    const auto again = at::empty({kFloats}, at::kFloat);
    CHECK_CLOSE(again.sum().item<double>(), kFloats, 0);
  }
  const auto fresh = at::empty({kFloats}, at::kFloat);
  CHECK_CLOSE(fresh.sum().item<double>(), 0, 0);
}

TEST(memory_that_was_kept_serves_other_sizes) {
  const declip::MemoryScope scope;
  for (const int64_t size : {6, 18, 108}) {
    declip::give_back_memory();
    const declip::KeptMemory kept;
    // One mapping, whose parts are neighbours whatever else the process maps.
    at::empty({36 * kFloats}, at::kFloat);
    CHECK(kept_of_432_mb(size) == 1);
  }
}

TEST(memory_of_weights_lies_side_by_side_and_may_go_in_any_order) {
  std::vector<at::Tensor> held;
  {
    const declip::WeightScope scope;
    for (int64_t i = 0; i < 60; ++i) {
      held.push_back(at::full({(i * 37 % 23 + 1) << 17}, i, at::kFloat));
    }
  }
  // others come and go between them
  const auto other = at::ones({kFloats}, at::kFloat);
  for (int64_t i = 0; i < 60; i += 2) held[i].reset();
  for (int64_t i = 1; i < 60; i += 2) {
    CHECK(held[i].eq(i).all().item<bool>());
  }
  std::thread([taken = std::move(held)]() mutable { taken.clear(); }).join();
  const declip::WeightScope scope;
  const auto large = at::ones({40 << 18}, at::kFloat);  // more than a chunk
  CHECK_CLOSE(large.sum().item<double>(), 40 << 18, 0);
}

namespace {

/// While one lives, so many bytes more than are in use may be.
struct RoomFor {
  explicit RoomFor(int64_t bytes) {
    declip::give_back_memory();
    declip::set_memory_budget(declip::memory_use().used + bytes);
  }
  ~RoomFor() { declip::set_memory_budget(before); }
  const int64_t before = declip::memory_use().budget;
};

}  // namespace

TEST(memory_beyond_the_budget_is_refused_and_smaller_tensors_go_on) {
  const int64_t before = declip::memory_use().used;
  for (const bool pooled : {true, false}) {
    std::optional<declip::MemoryScope> scope;
    if (pooled) scope.emplace();
    const RoomFor room(64 << 20);
    const auto used = declip::memory_use().used;
    CHECK_THROWS_CODE(at::empty({100 << 18}, at::kFloat),
                      declip::ErrorCode::kOutOfMemory);
    CHECK(declip::memory_use().used == used);
    const auto small = at::ones({20 << 18}, at::kFloat);
    const auto more = declip::memory_use().used - used;
    CHECK(more >= 20 << 20 && more < 23 << 20);
    CHECK_THROWS_CODE(at::empty({50 << 18}, at::kFloat),
                      declip::ErrorCode::kOutOfMemory);
    CHECK_CLOSE(small.sum().item<double>(), 20 << 18, 0);
  }
  declip::give_back_memory();
  CHECK(declip::memory_use().used == before);
}

TEST(memory_that_is_free_goes_before_a_tensor_is_refused) {
  const declip::MemoryScope scope;
  const RoomFor room(64 << 20);
  (void)at::empty({60 << 18}, at::kFloat);
  std::vector<at::Tensor> held;  // too small for one another's place
  for (int i = 0; i < 3; ++i) held.push_back(at::empty({20 << 18}, at::kFloat));
  held.erase(held.begin() + 1);
  CHECK(at::empty({24 << 18}, at::kFloat).defined());
}

TEST(memory_of_weights_counts) {
  const declip::WeightScope scope;
  const RoomFor room(64 << 20);
  CHECK_THROWS_CODE(at::empty({100 << 18}, at::kFloat),
                    declip::ErrorCode::kOutOfMemory);
  const auto weights = at::empty({40 << 18}, at::kFloat);
  CHECK_THROWS_CODE(at::empty({40 << 18}, at::kFloat),
                    declip::ErrorCode::kOutOfMemory);
}

TEST(memory_of_others_can_be_reserved) {
  const RoomFor room(64 << 20);
  CHECK(declip::reserve_memory(60 << 20));
  CHECK(!declip::reserve_memory(60 << 20));
  CHECK_THROWS_CODE(at::empty({20 << 18}, at::kFloat),
                    declip::ErrorCode::kOutOfMemory);
  declip::release_memory(60 << 20);
  CHECK(at::empty({20 << 18}, at::kFloat).defined());
}

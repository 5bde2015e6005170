#include "declip/memory.h"

#include <ATen/ATen.h>

#include <thread>
#include <vector>

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

TEST(memory_is_kept_for_the_next_step_if_asked_for) {
  const declip::MemoryScope scope;
  const auto kept = [] {
    constexpr int64_t kBlocks = 36;  // 432 MB
    std::vector<at::Tensor> held;
    for (int64_t i = 0; i < kBlocks; ++i) {
      held.push_back(at::ones({kFloats}, at::kFloat));
    }
    held.clear();
    int64_t same = 0;  // fresh pages are zero
    for (int64_t i = 0; i < kBlocks; ++i) {
      held.push_back(at::empty({kFloats}, at::kFloat));
      same += held.back()[kFloats / 2].item<float>() == 1;
    }
    return same == kBlocks;
  };
  declip::give_back_memory();
  CHECK(!kept());
  declip::keep_memory();
  CHECK(kept());
  declip::give_back_memory();
  CHECK(!kept());
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

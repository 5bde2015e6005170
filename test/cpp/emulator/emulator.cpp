#include <ucontext.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "cuda_runtime.h"

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

bool descending = false;

namespace {

constexpr size_t kStack = 64 * 1024;
constexpr int kWarp = 32;

enum class Wait { kNothing, kBlock, kWarp, kFinished };

struct Fibre {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  dim3 index;
  Wait wait = Wait::kNothing;
  int exchanges = 0;
  float given[2] = {};  // by turns: the others read one while the next comes
};

std::vector<Fibre> fibres;
Fibre* current = nullptr;
ucontext_t scheduler;
const std::function<void()>* body = nullptr;

void enter() {
  (*body)();
  current->wait = Wait::kFinished;
}

void pause(Wait wait) {
  current->wait = wait;
  swapcontext(&current->context, &scheduler);
}

void resume(Fibre& fibre) {
  current = &fibre;
  threadIdx = fibre.index;
  swapcontext(&scheduler, &fibre.context);
}

void start(Fibre& fibre) {
  if (!fibre.stack) fibre.stack = std::make_unique<char[]>(kStack);
  fibre.wait = Wait::kNothing;
  fibre.exchanges = 0;
  getcontext(&fibre.context);
  fibre.context.uc_stack.ss_sp = fibre.stack.get();
  fibre.context.uc_stack.ss_size = kStack;
  fibre.context.uc_link = &scheduler;
  makecontext(&fibre.context, enter, 0);
}

/// Lanes of a warp go together, and a barrier of the block is for all of it.
bool agree(size_t count) {
  bool block = false, other = false;
  for (size_t i = 0; i < count; ++i) {
    const Wait wait = fibres[i].wait;
    if (wait != fibres[i / kWarp * kWarp].wait) return false;
    (wait == Wait::kBlock ? block : other) = true;
  }
  return !(block && other);
}

void run_block(size_t count) {
  for (size_t i = 0; i < count; ++i) start(fibres[i]);
  for (bool left = true; left;) {
    left = false;
    for (size_t n = 0; n < count; ++n) {
      Fibre& fibre = fibres[descending ? count - 1 - n : n];
      if (fibre.wait == Wait::kFinished) continue;
      resume(fibre);
      left = left || fibre.wait != Wait::kFinished;
    }
    if (!agree(count)) {
      throw std::runtime_error(
          "Threads of a block wait at different barriers.");
    }
  }
}

}  // namespace

void run(dim3 grid, dim3 block, const std::function<void()>& thread) {
  const size_t count = size_t{block.x} * block.y * block.z;
  if (count > 1024 || count == 0 || grid.x == 0 || grid.y > 65535 ||
      grid.z > 65535) {
    throw std::runtime_error("No GPU takes a grid like this.");
  }
  if (fibres.size() < count) fibres.resize(count);
  body = &thread;
  blockDim = block;
  gridDim = grid;
  for (unsigned i = 0; i < count; ++i) {
    fibres[i].index = {
        i % block.x, i / block.x % block.y, i / block.x / block.y};
  }
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        run_block(count);
      }
    }
  }
}

void barrier() { pause(Wait::kBlock); }

float exchange(float value, int mask) {
  const int turn = current->exchanges++ % 2;
  current->given[turn] = value;
  pause(Wait::kWarp);
  const auto lane = current - fibres.data();
  return fibres[static_cast<size_t>(lane ^ mask)].given[turn];
}

}  // namespace emulator

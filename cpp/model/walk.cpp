#include "model/walk.h"

namespace declip {

at::Tensor walk(const Blocks& blocks,
                at::Tensor x,
                int64_t from,
                int64_t to,
                Grid grid,
                const Call& call,
                std::initializer_list<Tap*> taps) {
  for (int64_t i = from; i < to; ++i) {
    call.check();
    bool wanted = false;
    for (const Tap* tap : taps) wanted = wanted || (tap && tap->wants_heads(i));
    Heads heads;
    x = blocks.block(i, x, grid, call, wanted ? &heads : nullptr);
    for (Tap* tap : taps) {
      if (tap == nullptr) continue;
      if (tap->wants_heads(i)) tap->heads(i, heads);
      x = tap->after(i, x);
    }
  }
  return x;
}

}  // namespace declip

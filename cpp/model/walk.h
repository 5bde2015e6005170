#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <initializer_list>

#include "declip/call.h"
#include "model/layers.h"

namespace declip {

/// Patch rows and columns of a picture.
struct Grid {
  int64_t h = 0;
  int64_t w = 0;
};

/// A stack of transformer blocks.
class Blocks {
 public:
  virtual ~Blocks() = default;
  virtual int64_t depth() const = 0;
  /// Block i of tokens x [B, L, C], prefix tokens first, then grid.h * grid.w
  /// patches row by row. `heads`, unless null, gets what the block attends
  /// with: [B, L, n, d], biases added, neither rotated nor scaled (of a block
  /// with windows, B counts these).
  virtual at::Tensor block(int64_t i,
                           const at::Tensor& x,
                           Grid grid,
                           const Call& call,
                           Heads* heads) const = 0;
};

/// What looks at tokens on their way up.
class Tap {
 public:
  virtual ~Tap() = default;
  /// Whether heads() is to be called for block i.
  virtual bool wants_heads(int64_t) const { return false; }
  /// What block i attended with, before after(). See Blocks::block().
  virtual void heads(int64_t, const Heads&) {}
  /// Tokens after block i; the next block gets what is returned.
  virtual at::Tensor after(int64_t, const at::Tensor& x) { return x; }
};

/// x through blocks from..to - 1. The call is checked before each: throws
/// Error(kAborted). Taps may be null.
at::Tensor walk(const Blocks& blocks,
                at::Tensor x,
                int64_t from,
                int64_t to,
                Grid grid,
                const Call& call,
                std::initializer_list<Tap*> taps = {});

}  // namespace declip

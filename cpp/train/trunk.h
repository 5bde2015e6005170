#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <vector>

#include "declip/call.h"
#include "model/vision_tower.h"

namespace declip {

/// The blocks of a student below its last, forwards and backwards.
///
/// Without checkpoints LibTorch keeps the activations of every block that
/// learns. With them only the tokens between blocks are kept, output() is where
/// the loss's graph begins, and backward() makes each block once more, top
/// down (Chen et al., arXiv:1604.06174, with a segment per block). The numbers
/// are the same.
class Trunk {
 public:
  /// shown  blocks below the last whose tokens the loss looks at too
  Trunk(const VisionTower& tower,
        const at::Tensor& image,
        bool checkpoints,
        const Call& call,
        const std::vector<int64_t>& shown = {});

  /// Input of the last block, [B, 1 + N, C].
  const at::Tensor& output() const { return output_; }
  /// Tokens after block i, one of those shown: [B, 1 + N, C].
  const at::Tensor& after(int64_t i) const { return shown_.at(i); }
  Grid grid() const { return grid_; }

  /// Call it once, after backward() of what came of output() and after().
  void backward(const Call& call);

 private:
  /// Tokens before a block.
  struct Checkpoint {
    at::Tensor input;  // without a graph
    bool needed;       // whether something below it learns
  };
  class Cuts;
  class Looks;

  const VisionTower& tower_;
  Grid grid_;
  bool checkpoints_;
  at::Tensor embedded_;
  std::vector<Checkpoint> kept_;
  at::Tensor output_;
  std::map<int64_t, at::Tensor> shown_;
};

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "declip/call.h"
#include "declip/config.h"
#include "model/layers.h"
#include "model/prompt_tree.h"

namespace declip {

/// CLIP's causal text transformer (both families).
class TextTower {
 public:
  TextTower(const TextConfig& config,
            const Weights& weights,
            const Numerics& numerics);

  const TextConfig& config() const { return config_; }

  /// tokens [T, L <= context] int64 -> [T, E], not normalised. Attention is
  /// causal: what follows a prompt's end token cannot change its embedding, so
  /// padding costs nothing, and on the CPU prompts that begin alike share the
  /// work on their beginning (model/prompt_tree.h). On CUDA whole batches keep
  /// LibTorch's attention busy, for which a tree's paths are too short.
  at::Tensor encode(const at::Tensor& tokens, const Call& call) const;

 private:
  at::Tensor encode_tree(const PromptTree& tree, const Call& call) const;
  /// Without sharing, up to the longest prompt.
  at::Tensor encode_batch(const at::Tensor& tokens,
                          const at::Tensor& end,
                          const Call& call) const;

  TextConfig config_;
  Numerics numerics_;
  at::Tensor token_embedding_, positions_;
  Linear projection_;
  LayerNorm ln_final_;
  std::vector<ClipBlock> blocks_;
};

}  // namespace declip

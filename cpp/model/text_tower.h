#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "declip/call.h"
#include "declip/config.h"
#include "model/layers.h"
#include "model/prompt_tree.h"
#include "model/text_rows.h"

namespace declip {

/// The text transformer of every family: CLIP's blocks, causal or not, pooled
/// as TextConfig says. Without a projection E is its width.
class TextTower {
 public:
  TextTower(const TextConfig& config,
            const Weights& weights,
            const Numerics& numerics);

  const TextConfig& config() const { return config_; }

  /// tokens [T, L <= context] int64, on the CPU -> [T, E], not normalised.
  ///
  /// A causal tower that pools at the end token sees nothing behind it: padding
  /// costs nothing, and on the CPU prompts that begin alike share the work on
  /// their beginning (model/prompt_tree.h). On CUDA whole batches keep
  /// LibTorch's attention busy, for which a tree's paths are too short. Any
  /// other tower computes what model/text_rows.h chooses.
  /// Throws Error(kInvalidArg) for tokens that do not fit the tower.
  at::Tensor encode(const at::Tensor& tokens, const Call& call) const;

 private:
  /// Features of some rows of tokens, and which rows these are.
  struct Parts {
    std::vector<at::Tensor> features;
    std::vector<int64_t> order;
  };

  void check_tokens(const at::Tensor& tokens) const;
  Parts encode_trees(const at::Tensor& tokens,
                     const at::Tensor& end,
                     const Call& call) const;
  Parts encode_batches(const at::Tensor& tokens,
                       const at::Tensor& end,
                       const Call& call) const;
  Parts encode_groups(const at::Tensor& tokens, const Call& call) const;
  at::Tensor encode_tree(const PromptTree& tree, const Call& call) const;
  at::Tensor encode_rows(const TextRows& rows, const Call& call) const;
  /// ids and their positions, [B, L] or [L] -> [B, L, C] or [L, C].
  at::Tensor embed(const at::Tensor& ids, const at::Tensor& positions) const;
  /// Pooled and normed [B, C] -> [B, E].
  at::Tensor project(const at::Tensor& pooled) const;

  TextConfig config_;
  Numerics numerics_;
  at::Tensor token_embedding_, positions_;
  std::optional<Linear> projection_;
  LayerNorm ln_final_;
  std::vector<ClipBlock> blocks_;
};

}  // namespace declip

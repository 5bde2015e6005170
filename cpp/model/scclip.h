#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "declip/call.h"
#include "declip/dense.h"
#include "model/scclip_blocks.h"
#include "model/vision_tower.h"
#include "model/walk.h"

namespace declip {

// SC-CLIP, Bai et al., arXiv:2411.15869; steps as github.com/SuleBai/SC-CLIP
// has them. Its statistics (outliers, the mean of the similarities) are of one
// picture, here of every picture of a batch on its own.

/// Keeps what SC-CLIP takes of earlier blocks.
class ScClipTap final : public Tap {
 public:
  /// Throws Error(kInvalidArg) where options and depth do not fit.
  ScClipTap(const ScClipOptions& options, int64_t depth);

  at::Tensor after(int64_t i, const at::Tensor& x) override;

  const ScClipBlocks& blocks() const { return blocks_; }
  const at::Tensor& middle() const { return middle_; }  // [B, 1 + N, C]
  const at::Tensor& early() const { return early_; }    // the same
  const at::Tensor& fused() const { return fused_; }    // the same, a sum

 private:
  ScClipBlocks blocks_;
  at::Tensor middle_, early_, fused_;
};

/// What stands between the steps, for tests; float32.
struct ScClipSteps {
  at::Tensor scores;      // [B, N]
  at::Tensor positions;   // bool [B, N], anomalous
  at::Tensor repaired;    // [B, N, C]
  at::Tensor middle;      // [B, N, C], repaired
  at::Tensor aggregated;  // [B, N, C], input of the last block
  at::Tensor attended;    // [2B, N, C]: that one's result, and the fused one's
};

/// Tokens [B, N, C] that the projection to the shared space takes. x [B, 1 + N,
/// C] is the last block's input, `tap` has seen the blocks before it. Fewer
/// than neighbours + 1 patches are not repaired. On EVA towers, which the paper
/// does not have, keys are neither rotated nor is 1 / sqrt(d) left out: as
/// under NACLIP.
at::Tensor scclip_tokens(const VisionTower& tower,
                         const at::Tensor& x,
                         Grid grid,
                         const ScClipOptions& options,
                         const ScClipTap& tap,
                         const Call& call,
                         ScClipSteps* steps = nullptr);

/// y [B, N, C] averaged over patches alike: weights are the cosines of x
/// [B, N, D], those below `threshold` 0, divided by their sum + 1e-6.
at::Tensor averaged_by_similarity(const at::Tensor& y,
                                  const at::Tensor& x,
                                  double threshold);

}  // namespace declip

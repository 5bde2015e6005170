#pragma once

#include <span>

#include "declip/dense.h"
#include "families/dino_encoder.h"

namespace declip {

/// The dense modes that its authors' code has.
std::span<const DenseMode> tips_modes();

/// TIPSv2's image tower: DINOv2's with one register, which is a second class
/// token (the first is trained on captions of the web, the second on synthetic
/// ones), and bilinear positions. Cao et al., arXiv:2604.12012.
///
/// Dense modes: `vanilla`, the patches as they are, and `maskclip`, the last
/// block with each token's value in place of attention, as in the authors'
/// TIPS_zeroshot_segmentation.ipynb.
class Tips final : public Dino {
 public:
  Tips(const ModelConfig& config,
       const Weights& weights,
       const Numerics& numerics);

  Stages stages(const at::Tensor& image,
                const StageOptions& options,
                const Call& call) const override;

 private:
  /// The last block under a mode, [B, L, C] -> [B, L, C].
  at::Tensor last_block(const at::Tensor& x, const DenseOptions& options) const;
};

}  // namespace declip

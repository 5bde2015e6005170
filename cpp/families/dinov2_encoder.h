#pragma once

#include "families/dino_encoder.h"

namespace declip {

/// DINOv2: DINO with LayerScale, in its largest size SwiGLU, and in some files
/// registers, which come with another rule for the positions. Sides must be
/// multiples of the patch. Oquab et al., arXiv:2304.07193; registers: Darcet et
/// al., arXiv:2309.16588.
class DinoV2 final : public Dino {
 public:
  DinoV2(const ModelConfig& config,
         const Weights& weights,
         const Numerics& numerics);

 protected:
  void check(const at::Tensor& image) const override;
};

}  // namespace declip

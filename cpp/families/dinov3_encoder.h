#pragma once

#include "families/dino_encoder.h"
#include "model/kept_rope.h"

namespace declip {

/// DINOv3: DINOv2 with registers, but rotary positions in place of learned
/// ones. They turn channels p and p + d / 2 of a head; here these stand side by
/// side. Sides must be multiples of the patch. Siméoni et al.,
/// arXiv:2508.10104.
class DinoV3 final : public Dino {
 public:
  DinoV3(const ModelConfig& config,
         const Weights& weights,
         const Numerics& numerics);

 protected:
  void check(const at::Tensor& image) const override;
  void turn(Heads& heads, Grid grid) const override;

 private:
  KeptRope rope_;
};

}  // namespace declip

#include "families/dinov2_encoder.h"

namespace declip {
DinoV2::DinoV2(const ModelConfig& config,
               const Weights& weights,
               const Numerics& numerics)
    : Dino(config,
           weights,
           numerics,
           config.foundation.registers > 0 ? TableResize::kAntialiased
                                           : TableResize::kScaleFactor) {}

void DinoV2::check(const at::Tensor& image) const {
  check_whole_patches(image);
}

}  // namespace declip

#include "families/dinov2_encoder.h"

#include <string>

#include "declip/error.h"

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
  const int64_t patch = config_.vision.patch;
  if (image.size(2) % patch == 0 && image.size(3) % patch == 0) return;
  throw Error(ErrorCode::kInvalidArg,
              "DINOv2 takes images whose sides are multiples of its patch, " +
                  std::to_string(patch) + " pixels, received " +
                  std::to_string(image.size(2)) + " x " +
                  std::to_string(image.size(3)) +
                  " (height x width). Crop or pad it; in a pipeline, give "
                  "window or padTo such a multiple.");
}

}  // namespace declip

#include "families/dinov2.h"

#include <string>

#include "declip/error.h"

namespace declip {
namespace {

void check_sides(const at::Tensor& image, int64_t patch) {
  if (image.size(2) % patch == 0 && image.size(3) % patch == 0) return;
  throw Error(ErrorCode::kInvalidArg,
              "DINOv2 takes images whose sides are multiples of its patch, " +
                  std::to_string(patch) + " pixels, received " +
                  std::to_string(image.size(2)) + " x " +
                  std::to_string(image.size(3)) +
                  " (height x width). Crop or pad it; in a pipeline, give "
                  "window or padTo such a multiple.");
}

}  // namespace

DinoV2::DinoV2(const ModelConfig& config,
               const Weights& weights,
               const Numerics& numerics)
    : Dino(config,
           weights,
           numerics,
           config.foundation.registers > 0 ? TableResize::kAntialiased
                                           : TableResize::kScaleFactor) {}

at::Tensor DinoV2::features(const at::Tensor& image, const Call& call) const {
  check_sides(image, config_.vision.patch);
  return Dino::features(image, call);
}

at::Tensor DinoV2::class_token(const at::Tensor& image,
                               const Call& call) const {
  check_sides(image, config_.vision.patch);
  return Dino::class_token(image, call);
}

}  // namespace declip

#include "families/foundation_model.h"

#include "declip/error.h"
#include "families/dino.h"
#include "families/dinov2.h"
#include "families/sam.h"

namespace declip {

std::unique_ptr<Teacher> make_teacher(const ModelConfig& config,
                                      const Weights& weights,
                                      const Numerics& numerics) {
  switch (config.family) {
    case Family::kDino:
      return std::make_unique<Dino>(config, weights, numerics);
    case Family::kDino2:
      return std::make_unique<DinoV2>(config, weights, numerics);
    case Family::kSam:
      return std::make_unique<Sam>(config, weights, numerics);
    default:
      throw Error(ErrorCode::kInternal, "not a vision foundation model");
  }
}

}  // namespace declip

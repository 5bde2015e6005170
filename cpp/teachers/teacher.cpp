#include "teachers/teacher.h"

#include "declip/error.h"
#include "teachers/dino.h"
#include "teachers/dinov2.h"
#include "teachers/sam.h"

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

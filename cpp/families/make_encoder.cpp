#include "families/make_encoder.h"

#include "declip/error.h"
#include "families/dino.h"
#include "families/dinov2.h"
#include "families/sam.h"
#include "model/clip_encoder.h"

namespace declip {

std::unique_ptr<VisionEncoder> make_encoder(const ModelConfig& config,
                                            const Weights& weights,
                                            const Numerics& numerics) {
  switch (config.family) {
    case Family::kPlain:
      return make_plain_encoder(config, weights, numerics);
    case Family::kEva:
      return make_eva_encoder(config, weights, numerics);
    case Family::kDino:
      return std::make_unique<Dino>(config, weights, numerics);
    case Family::kDino2:
      return std::make_unique<DinoV2>(config, weights, numerics);
    case Family::kSam:
      return std::make_unique<Sam>(config, weights, numerics);
  }
  throw Error(ErrorCode::kInternal, "a family without an encoder");
}

}  // namespace declip

#include "detect/f_vit.h"

#include "declip/error.h"

namespace declip {

std::unique_ptr<Detector> make_f_vit(const DetectorConfig&,
                                     const Weights&,
                                     const Numerics&) {
  throw Error(ErrorCode::kInternal, "F-ViT's heads are not run yet.");
}

}  // namespace declip

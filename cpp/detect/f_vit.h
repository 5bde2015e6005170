#pragma once

#include <memory>

#include "declip/detector.h"
#include "model/layers.h"
#include "model/weights.h"

namespace declip {

/// F-ViT's heads of `weights`, under mmdetection's names.
std::unique_ptr<Detector> make_f_vit(const DetectorConfig& config,
                                     const Weights& weights,
                                     const Numerics& numerics);

}  // namespace declip

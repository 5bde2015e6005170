#pragma once

#include <memory>

#include "declip/cat_seg.h"
#include "model/layers.h"
#include "model/weights.h"

namespace declip {

/// The head that a CatSegFile holds: see head.cpp.
std::unique_ptr<CatSeg> make_cat_seg(const CatSegConfig& config,
                                     const Weights& weights,
                                     const Numerics& numerics);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/encoded_image.h"
#include "declip/size.h"

namespace declip {

/// The highest places of a map, best first, no two nearer than
/// `options.min_distance`. A place is a pixel with no higher one around it; of
/// a level piece the first in reading order, if nothing around that is higher.
///
/// map      float32 [h, w]
/// picture  what the map is of; peaks and distances are in its pixels
std::vector<Peak> find_peaks(const at::Tensor& map,
                             Size picture,
                             const PeakOptions& options);

}  // namespace declip

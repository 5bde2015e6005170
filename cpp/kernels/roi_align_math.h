#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/host_device.h"

namespace declip {

/// RoIAlign's sample is a product of two bilinear taps, one per axis, and its
/// samples form a grid: a bin's mean is therefore a product of two weight
/// vectors. This adds one bin's vector along one axis, `extent` floats.
///
/// start, size  of the bin, in patches, half a patch already taken off
/// samples      per bin along this axis; the mean is over max(samples, 1)
DECLIP_HD void add_bin_weights(
    float start, float size, int64_t samples, int64_t extent, float* weights) {
  for (int64_t i = 0; i < samples; ++i) {
    float position = start + (static_cast<float>(i) + 0.5f) * size /
                                 static_cast<float>(samples);
    // Samples more than a patch outside count as 0, nearer ones as the edge.
    if (position < -1.0f || position > static_cast<float>(extent)) continue;
    if (position < 0.0f) position = 0.0f;
    int64_t first = static_cast<int64_t>(position);
    if (first > extent - 1) first = extent - 1;
    const float fraction =
        first < extent - 1 ? position - static_cast<float>(first) : 0.0f;
    const float share = 1.0f / static_cast<float>(samples);
    weights[first] += (1.0f - fraction) * share;
    if (first < extent - 1) weights[first + 1] += fraction * share;
  }
}

}  // namespace declip

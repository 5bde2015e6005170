#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/host_device.h"

namespace declip {

/// One axis of a box, in patches: bin b covers start + b * size .. + size.
struct RoiAxis {
  float start;
  float size;       // of a bin
  int64_t samples;  // per bin
};

/// The box low..high, half a patch taken off (aligned=true), in `bins` bins of
/// as many samples as they are patches long.
DECLIP_HD RoiAxis roi_axis(float low, float high, int64_t bins) {
  const float start = low - 0.5f;
  const float size = (high - 0.5f - start) / static_cast<float>(bins);
  return {start, size, static_cast<int64_t>(std::ceil(size))};
}

/// Two neighbouring patches of one sample along an axis and their shares of the
/// bin's mean; `second` is -1 where there is none, `first` where the sample
/// does not count.
struct RoiTap {
  int64_t first;
  int64_t second;
  float first_share;
  float second_share;
};

/// Sample i of a bin along an axis of `extent` patches.
DECLIP_HD RoiTap roi_tap(RoiAxis axis, int64_t bin, int64_t i, int64_t extent) {
  const float share = 1.0f / static_cast<float>(axis.samples);
  float position = axis.start + static_cast<float>(bin) * axis.size +
                   (static_cast<float>(i) + 0.5f) * axis.size /
                       static_cast<float>(axis.samples);
  // Samples more than a patch outside count as 0, nearer ones as the edge.
  if (position < -1.0f || position > static_cast<float>(extent)) {
    return {-1, -1, 0.0f, 0.0f};
  }
  if (position < 0.0f) position = 0.0f;
  int64_t first = static_cast<int64_t>(position);
  if (first > extent - 1) first = extent - 1;
  const bool inner = first < extent - 1;
  const float fraction = inner ? position - static_cast<float>(first) : 0.0f;
  return {first,
          inner ? first + 1 : -1,
          (1.0f - fraction) * share,
          fraction * share};
}

/// RoIAlign's sample is a product of two bilinear taps, one per axis, and its
/// samples form a grid: a bin's mean is therefore a product of two weight
/// vectors. This adds one bin's vector along one axis, `extent` floats.
DECLIP_HD void add_bin_weights(RoiAxis axis,
                               int64_t bin,
                               int64_t extent,
                               float* weights) {
  for (int64_t i = 0; i < axis.samples; ++i) {
    const RoiTap tap = roi_tap(axis, bin, i, extent);
    if (tap.first >= 0) weights[tap.first] += tap.first_share;
    if (tap.second >= 0) weights[tap.second] += tap.second_share;
  }
}

/// Patches begin..end along an axis.
struct RoiRange {
  int64_t begin;
  int64_t end;
};

/// Where a bin's weights may be other than 0.
DECLIP_HD RoiRange bin_range(RoiAxis axis, int64_t bin, int64_t extent) {
  if (axis.samples <= 0) return {0, 0};
  const float low = axis.start + static_cast<float>(bin) * axis.size;
  const float high = low + axis.size;
  const auto last = static_cast<float>(extent);
  // One patch more on either side than bilinear samples take, for rounding.
  const float from = low - 1.0f, to = high + 3.0f;
  const float begin =
      from > 0.0f ? (from < last - 1.0f ? from : last - 1.0f) : 0.0f;
  const float end = to < last ? (to > 1.0f ? to : 1.0f) : last;
  return {static_cast<int64_t>(begin), static_cast<int64_t>(end)};
}

/// One element of that vector.
DECLIP_HD float bin_weight(RoiAxis axis,
                           int64_t bin,
                           int64_t extent,
                           int64_t patch) {
  float weight = 0.0f;
  for (int64_t i = 0; i < axis.samples; ++i) {
    const RoiTap tap = roi_tap(axis, bin, i, extent);
    if (tap.first == patch) weight += tap.first_share;
    if (tap.second == patch) weight += tap.second_share;
  }
  return weight;
}

}  // namespace declip

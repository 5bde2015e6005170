#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/call.h"
#include "declip/dense.h"
#include "model/vision_tower.h"

namespace declip {

// CorrCLIP, Zhang et al., arXiv:2411.10086, and its corrclip_segmentor.py:
// patches attend by another model's similarities, within regions; a class token
// for every region adds what the region is.

/// Numbers of the regions of some places, without gaps.
struct RegionNumbers {
  at::Tensor of;  // int32 [N] on the CPU: 0 for no region, else 1..count
  int64_t count = 0;
};

/// Of a map of any numbers. 0 is no region or, as the authors' code has it,
/// whatever number is the smallest. The order of the numbers is kept.
RegionNumbers number_regions(const at::Tensor& map,
                             bool smallest_is_unsegmented);

/// Regions whose mean directions are alike become one: those that are
/// connected by pairs no further than `distance` apart, which is what DBSCAN
/// with one point a cluster finds. The distance of two is the largest product
/// of any two (one with itself is one of them) less theirs. Clusters are
/// numbered by the order of their lowest region.
///
/// unit       float32 [N, C], rows of unit length
/// distances  if not null, gets those of all pairs [R, R]
RegionNumbers merge_regions(const RegionNumbers& regions,
                            const at::Tensor& unit,
                            double distance,
                            at::Tensor* distances = nullptr);

/// What the steps of one picture gave, for tests.
struct CorrClipStages {
  at::Tensor unit;       // [M, C], the foundation model's features
  double mean = 0;       // of their similarities
  RegionNumbers given;   // on the grid of these features
  RegionNumbers merged;  // the same
  at::Tensor distances;  // [R, R] between given regions, if any were compared
  at::Tensor on_tokens;  // int32 [h * w], merged regions on the tower's grid
  at::Tensor main, spatial;  // [M, D]
  at::Tensor class_tokens;   // [r, D], by number of the region
  at::Tensor semantic;       // [M, D]
};

/// Patch features [B, E, Hv, Wv] on the grid of options.proxy_features, not
/// normalised, of pictures [B, 3, H, W], one after the other.
/// `stages` is of the last of them.
/// Throws Error(kInvalidArg) when an option does not fit the tower.
at::Tensor corrclip_features(const VisionTower& tower,
                             const at::Tensor& image,
                             const DenseOptions& options,
                             const Call& call,
                             Tap* tap = nullptr,
                             CorrClipStages* stages = nullptr);

}  // namespace declip

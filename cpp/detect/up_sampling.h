#pragma once

#include <vector>

#include "detect/conv.h"

namespace declip {

/// From the tower's four maps, all of one grid, to maps of four sizes: twice
/// up-sampled with a batch norm and GELU between, once, as it is, and halved by
/// max-pooling (F-ViT, models/evaclip_vit.py).
///
/// The pyramid's lateral convolutions of 1 x 1 places stand right behind. Those
/// of the two up-sampled levels become part of the transposed convolutions,
/// which then make maps of the pyramid's channels, not of the tower's: a fourth
/// of the products, and the largest map never exists in full width.
class UpSampling {
 public:
  /// backbone  scope of `interpolate1` and `interpolate2`
  /// laterals  of the four levels, with their batch norms folded in; none: the
  ///           maps before them, P0..P3
  UpSampling(const Scope& backbone,
             const std::vector<Folded>& laterals,
             const Numerics& numerics);

  /// maps: four of [1, C, G, G], shallowest first -> [1, c, 4G, 4G],
  /// [1, c, 2G, 2G], [1, c, G, G] and [1, c, G / 2, G / 2] (rounded down).
  std::vector<at::Tensor> operator()(const std::vector<at::Tensor>& maps) const;

 private:
  at::ScalarType dtype_;
  Upsample2 first_, second_, single_;
  std::vector<Conv> laterals_;  // of the two coarse levels, or none
};

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/size.h"
#include "image/row_range.h"
#include "kernels/postprocess.h"

namespace declip {

/// The best classes of every pixel of a picture, until it is known which of
/// them an area filter keeps: kRanks labels and a byte per pixel.
class RankedLabels {
 public:
  /// type: of the labels, uint8 or uint16.
  RankedLabels(Size size, at::ScalarType type);

  /// Takes over rows that have had all their words.
  void take(const Postprocess& from, RowRange rows);

  /// Writes the label of each pixel's best class that is kept into `labels`
  /// [rows.size(), W] of the same type, `uncertain` where its probability is
  /// below the threshold and 0 where no rank is kept. `certainty`, that of the
  /// best class, becomes 0 where that is not the label. Returns the number of
  /// pixels without a kept rank.
  int64_t choose(RowRange rows,
                 const std::vector<bool>& keep,
                 int64_t uncertain,
                 const at::Tensor& labels,
                 const at::Tensor& certainty) const;

 private:
  at::Tensor classes_;  // [kRanks, H, W]
  /// uint8 [H, W]: bit r is set where rank r is below the probability
  /// threshold; the number of ranks that hold a class is in the upper four.
  at::Tensor flags_;
};

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/bank.h"
#include "declip/encoded_image.h"
#include "declip/model.h"
#include "segment/plane_source.h"

namespace declip {

/// The regions of a picture as a bank is asked about them.
struct BankQueries {
  at::Tensor index;  // int32 CPU [H', W'], the row of every pixel's region
  at::Tensor keys;   // float32 [R, C], of unit length
};

/// What like regions of other pictures say of a picture's regions.
struct BankSupport {
  at::Tensor index;                // int32 [H', W'], on the model's device
  std::vector<at::Tensor> values;  // of every encoder [R, E], of unit length
  double share = 0;
};

/// Numbers of regions as rows, ascending, with `first` the lowest number that
/// counts: int32 CPU [H, W], -1 below it.
struct RegionRows {
  at::Tensor index;
  int64_t count = 0;
};
RegionRows rows_of_regions(const at::Tensor& regions, int64_t first);

/// Every number of the region map counts here, 0 too. Keys are those of
/// proxy_model, or of the model itself; `features` are picture_features() of
/// that model where they were made before.
BankQueries bank_queries(const Model& model,
                         const Picture& picture,
                         const EncodeOptions& options,
                         Size resized,
                         const at::Tensor& features,
                         const Call& call);

/// Throws Error(kInvalidArg) without regions and for a bank of other widths.
BankSupport bank_support(const Model& model,
                         const Picture& picture,
                         const EncodeOptions& options,
                         Size resized,
                         const at::Tensor& features,
                         const Call& call);

/// Scores of words text [Q, E], or [Q, E + E2] with those of the second
/// encoder's words, of which the mean is taken. CorrCLIP v2.
ScoreShare bank_scores(const BankSupport& support, const at::Tensor& text);

/// Mean of channels over the pixels of each region: float32 CPU [R, channels].
at::Tensor mean_planes(const PlaneSource& planes,
                       const RegionRows& regions,
                       const Call& call);

/// picture_rows()'s values before they become of unit length.
at::Tensor region_values(const Model& model,
                         const Picture& picture,
                         const EncodeOptions& options,
                         const RegionRows& regions,
                         const Call& call);

}  // namespace declip

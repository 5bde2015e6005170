#include "kernels/region_pool.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <vector>

#include "declip/error.h"

namespace declip {
namespace {

/// Weights that exist at a time, in bytes.
constexpr int64_t kWeightBytes = int64_t{32} << 20;

}  // namespace

at::Tensor pool_regions(
    const at::Tensor& features,
    const at::Tensor& batch,
    int64_t rows,
    const std::function<at::Tensor(const at::Tensor&)>& weights) {
  const int64_t regions = batch.size(0), channels = features.size(1);
  const int64_t* picture = batch.const_data_ptr<int64_t>();
  for (int64_t k = 0; k < regions; ++k) {
    if (picture[k] >= 0 && picture[k] < features.size(0)) continue;
    throw Error(ErrorCode::kInvalidArg,
                "a region's picture index must be 0.." +
                    std::to_string(features.size(0) - 1) + ", received " +
                    std::to_string(picture[k]) + ".");
  }
  const int64_t row_bytes =
      std::max<int64_t>(rows * features.size(2) * features.size(3) * 4, 1);
  const int64_t most = std::max<int64_t>(kWeightBytes / row_bytes, 1);
  const auto sums =
      features.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  std::vector<at::Tensor> order, pooled;
  for (int64_t b = 0; b < features.size(0); ++b) {
    const auto chosen = batch.eq(b).nonzero().squeeze(1);
    if (chosen.numel() == 0) continue;
    const auto cells = features[b].to(sums).flatten(1).t();  // (h w, C)
    for (const auto& some : chosen.split(most)) {
      order.push_back(some);
      pooled.push_back(
          at::matmul(weights(some).to(sums), cells).view({-1, rows, channels}));
    }
  }
  if (pooled.empty()) return at::empty({0, rows, channels}, features.options());
  const auto place = at::argsort(at::cat(order)).to(features.device());
  return at::cat(pooled).index_select(0, place).to(features.scalar_type());
}

}  // namespace declip

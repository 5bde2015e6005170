#include "kernels/self_similarity.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "declip/error.h"
#include "kernels/dense_attention.h"

namespace declip {
namespace {

/// Between two looks at whether the call was cancelled: about a second.
constexpr double kOperationsAtATime = 1e11;

/// Of all products of two rows, without making them: |sum of the rows|^2 / M^2.
double mean_product(const at::Tensor& unit) {
  const auto sum = at::sum(unit, {0}, false, at::kDouble);
  const auto rows = static_cast<double>(unit.size(0));
  return (sum * sum).sum().item<double>() / (rows * rows);
}

/// [M, C] -> [1, M, 1, C]: one picture, one head.
at::Tensor one_head(const at::Tensor& rows) {
  return rows.unsqueeze(0).unsqueeze(2);
}

}  // namespace

at::Tensor attend_to_alike(const at::Tensor& x, double gain, const Call& call) {
  if (x.dim() != 2 || x.scalar_type() != at::kFloat) {
    throw Error(ErrorCode::kInternal,
                "attend_to_alike(): features must be float32 [M, C].");
  }
  if (!(gain > 0) || !std::isfinite(gain)) {
    throw Error(ErrorCode::kInvalidArg,
                "aggregate.gain must be a finite number above 0.");
  }
  const auto values = x.contiguous();
  const auto unit = values / values.norm(2, {1}, true).clamp_min(1e-12);
  AttentionOptions options;
  options.shift = -gain * mean_product(unit);
  options.drop_negative = true;
  const int64_t rows = x.size(0);
  const double operations =
      4.0 * static_cast<double>(rows) * static_cast<double>(x.size(1));
  const auto together = std::clamp<int64_t>(
      static_cast<int64_t>(kOperationsAtATime / operations), 64, rows);
  const auto keys = one_head(unit), all = one_head(values);
  auto out = at::empty_like(values);
  for (int64_t first = 0; first < rows; first += together) {
    call.check();
    const int64_t last = std::min(first + together, rows);
    const auto queries = one_head(unit.slice(0, first, last));
    out.slice(0, first, last)
        .copy_(dense_attention({{{{queries, keys}}, gain, 1.0}}, all, options)
                   .squeeze(0));
  }
  return out;
}

}  // namespace declip

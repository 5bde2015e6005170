#include "model/scclip_outliers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "model/row_blocks.h"

namespace declip {
namespace {

/// Tokens that are equal have distance 0, whose inverse is not finite.
constexpr double kSmallestReach = 1e-20;

}  // namespace

at::Tensor outlier_scores(const at::Tensor& x, int64_t k) {
  const int64_t batch = x.size(0), count = x.size(1);
  if (count <= k) return {};
  auto scores = at::empty({batch, count}, x.options().dtype(at::kFloat));
  for (int64_t b = 0; b < batch; ++b) {
    auto tokens = x[b].to(at::kFloat);
    // Distances do not depend on the origin; in the middle of the tokens the
    // least is lost in the difference of products.
    tokens = tokens - tokens.mean(0, true);
    const auto squares = tokens.square().sum(1);  // (N)
    const auto turned = tokens.t();
    auto reach = at::empty({count}, tokens.options());
    auto nearest = at::empty({count, k}, tokens.options().dtype(at::kLong));
    for_row_blocks(count, [&](int64_t first, int64_t last) {
      auto distances = at::addmm(squares.unsqueeze(0),
                                 tokens.slice(0, first, last),
                                 turned,
                                 /*beta=*/1,
                                 /*alpha=*/-2);
      distances.add_(squares.slice(0, first, last).unsqueeze(1)).clamp_min_(0);
      distances.diagonal(first).fill_(std::numeric_limits<float>::infinity());
      const auto [values, index] = distances.topk(k, 1, /*largest=*/false);
      reach.slice(0, first, last).copy_(values.select(1, k - 1));
      nearest.slice(0, first, last).copy_(index);
    });
    reach.clamp_min_(kSmallestReach);
    const auto inverse = reach.reciprocal();
    scores[b].copy_(
        reach *
        inverse.index_select(0, nearest.flatten()).view({count, k}).mean(1));
  }
  return scores;
}

at::Tensor anomalous(const at::Tensor& scores, double share) {
  const int64_t count = scores.size(1);
  const double position = (1 - share) * static_cast<double>(count - 1);
  const auto below = static_cast<int64_t>(std::floor(position));
  const int64_t above = std::min(below + 1, count - 1);
  const auto sorted = std::get<0>(scores.sort(1));
  const auto low = sorted.slice(1, below, below + 1);
  const auto high = sorted.slice(1, above, above + 1);
  return scores > low + (high - low) * (position - static_cast<double>(below));
}

at::Tensor repaired(const at::Tensor& x,
                    const at::Tensor& positions,
                    Grid grid) {
  const int64_t batch = x.size(0), width = x.size(2);
  const auto sound =
      positions.logical_not().to(at::kFloat).view({batch, 1, grid.h, grid.w});
  // An anomalous patch is no part of the sum over the 3 x 3 around it.
  const auto around = [](const at::Tensor& map) {
    return at::avg_pool2d(map, 3, 1, 1, false, true, /*divisor_override=*/1);
  };
  const auto map = x.view({batch, grid.h, grid.w, width}).permute({0, 3, 1, 2});
  const auto count = around(sound);  // (B, 1, h, w)
  const auto mean = around(map * sound) / count.clamp_min(1);
  const auto changes = sound.eq(0).logical_and(count > 0);
  return at::where(changes, mean, map)
      .permute({0, 2, 3, 1})
      .reshape({batch, grid.h * grid.w, width});
}

}  // namespace declip

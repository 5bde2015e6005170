#include "model/scclip.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/dense_attention.h"
#include "model/mode_attention.h"
#include "model/row_blocks.h"
#include "model/scclip_outliers.h"

namespace declip {
namespace {

// Per picture beyond NACLIP, with N patches of width C: one projection to keys,
// values and back more (6 N C^2 operations), and seven products of N^2 C: three
// of similarities (outliers, middle twice, early), three of weights with
// values, one attention. Of a ViT-B/16 and 196 patches that is 4 % of the
// tower.

constexpr double kSumEpsilon = 1e-6;

at::Tensor patches_of(const at::Tensor& x) {
  return x.slice(1, 1).to(at::kFloat);
}

at::Tensor unit_rows(const at::Tensor& x) {
  return x / x.norm(2, {-1}, true).clamp_min(1e-12);
}

/// Values below `least` of x become `value`, in place.
void replace_below(at::Tensor& x, double least, double value) {
  // threshold() keeps what is above, not what is equal; subnormal numbers may
  // count as 0.
  constexpr auto kLowest = -std::numeric_limits<float>::infinity();
  const float below = least == 0
                          ? -std::numeric_limits<float>::min()
                          : std::nextafter(static_cast<float>(least), kLowest);
  at::threshold_(x, below, value);
}

/// softmax(gain (s - mean s)) v of one picture without the negative scores,
/// s = unit unit^T [N, N]; `out` and v [N, C] of every pass. A token always
/// sees itself.
void attend_by_similarity(const at::Tensor& unit,
                          double gain,
                          const std::vector<at::Tensor>& v,
                          const std::vector<at::Tensor>& out) {
  const int64_t count = unit.size(0);
  // The mean of the products is the product of the sums.
  const auto mean = (unit.sum(0, false, at::kDouble).square().sum() /
                     static_cast<double>(count * count))
                        .to(at::kFloat);
  const auto turned = unit.t();
  for_row_blocks(count, [&](int64_t first, int64_t last) {
    auto scores = at::mm(unit.slice(0, first, last), turned);
    scores.sub_(mean).mul_(gain);
    scores.diagonal(first).clamp_min_(0);
    replace_below(scores, 0, -std::numeric_limits<double>::infinity());
    const auto weights = scores.softmax(1);
    for (size_t pass = 0; pass < v.size(); ++pass) {
      auto rows = out[pass].slice(0, first, last);
      at::mm_out(rows, weights, v[pass]);
    }
  });
}

/// The last block's attention, and nothing else of it: y [2B, N, C] -> the
/// same, without the class token's share. middle [B, N, C] float32.
at::Tensor attended(const VisionTower& tower,
                    const at::Tensor& y,
                    const at::Tensor& middle,
                    double gain) {
  const int64_t i = tower.depth() - 1;
  const int64_t pictures = middle.size(0), passes = y.size(0) / pictures;
  Wanted wanted;
  wanted.q = false;
  const auto heads =
      tower.project(i, tower.norm1(i, y.to(tower.numerics().stream())), wanted);
  const double scale = 1.0 / std::sqrt(static_cast<double>(heads.v.size(3)));
  auto merged =
      combine(
          tower.numerics(), {{{{heads.k, heads.k}}, scale, 1.0}}, heads.v, {})
          .to(at::kFloat);
  const auto values = heads.v.flatten(2).to(at::kFloat);
  auto similar = at::empty(merged.sizes(), merged.options());
  const auto unit = unit_rows(middle);
  for (int64_t b = 0; b < pictures; ++b) {
    std::vector<at::Tensor> v, out;
    for (int64_t pass = 0; pass < passes; ++pass) {
      v.push_back(values[pass * pictures + b]);
      out.push_back(similar[pass * pictures + b]);
    }
    attend_by_similarity(unit[b], gain, v, out);
  }
  merged = merged.add_(similar).mul_(0.5).to(heads.v.scalar_type());
  return tower.output(i, merged, {}).to(at::kFloat);
}

}  // namespace

ScClipTap::ScClipTap(const ScClipOptions& options, int64_t depth)
    : blocks_(scclip_blocks(options, depth)) {}

at::Tensor ScClipTap::after(int64_t i, const at::Tensor& x) {
  const int64_t block = i + 1;
  if (block == blocks_.middle) middle_ = x;
  if (block == blocks_.early) early_ = x;
  if (block == blocks_.first_fused) {
    fused_ = x.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  } else if (block > blocks_.first_fused && block <= blocks_.last_fused) {
    fused_.add_(x);
  }
  return x;
}

at::Tensor averaged_by_similarity(const at::Tensor& y,
                                  const at::Tensor& x,
                                  double threshold) {
  const int64_t count = x.size(1);
  const auto unit = unit_rows(x.to(at::kFloat));
  auto out = at::empty(y.sizes(), y.options().dtype(at::kFloat));
  for (int64_t b = 0; b < x.size(0); ++b) {
    const auto turned = unit[b].t();
    const auto values = y[b].to(at::kFloat);
    for_row_blocks(count, [&](int64_t first, int64_t last) {
      auto weights = at::mm(unit[b].slice(0, first, last), turned);
      replace_below(weights, threshold, 0);
      auto rows = out[b].slice(0, first, last);
      at::mm_out(rows, weights, values);
      rows.div_(weights.sum(1, true).add_(kSumEpsilon));
    });
  }
  return out;
}

at::Tensor scclip_tokens(const VisionTower& tower,
                         const at::Tensor& x,
                         Grid grid,
                         const ScClipOptions& options,
                         const ScClipTap& tap,
                         const Call& call,
                         ScClipSteps* steps) {
  auto tokens = patches_of(x);
  auto middle = patches_of(tap.middle());
  const auto scores = outlier_scores(tokens, options.neighbours);
  at::Tensor positions;
  if (scores.defined()) {
    positions = anomalous(scores, options.anomalous_share);
    tokens = repaired(tokens, positions, grid);
    middle = repaired(middle, positions, grid);
  }
  call.check();
  const auto aggregated =
      averaged_by_similarity(tokens, middle, options.threshold);
  // Both passes go through the block together, the picture's own first.
  auto y = attended(tower,
                    at::cat({aggregated, patches_of(tap.fused())}),
                    middle,
                    options.gain);
  const auto class_tokens =
      at::cat({x.slice(1, 0, 1), tap.fused().slice(1, 0, 1).to(x.dtype())});
  y = y.add_(class_tokens.to(at::kFloat), tap.blocks().class_weight);
  call.check();
  if (steps != nullptr) {
    *steps = {scores, positions, tokens, middle, aggregated, y};
  }
  // What follows is linear: the sum of the averages is that of the sum.
  const int64_t pictures = x.size(0);
  return averaged_by_similarity(y.slice(0, 0, pictures) + y.slice(0, pictures),
                                patches_of(tap.early()),
                                options.threshold)
      .to(tower.numerics().stream());
}

}  // namespace declip

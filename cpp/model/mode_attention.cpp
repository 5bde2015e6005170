#include "model/mode_attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "declip/error.h"
#include "model/recorded.h"

namespace declip {
namespace {

/// Whether every softmax is of one product.
bool is_sum(const std::vector<AttentionTerm>& terms,
            const AttentionOptions& options) {
  return options.shift == 0 && !options.drop_negative && !options.prior &&
         !options.scope &&
         std::all_of(terms.begin(), terms.end(), [](const auto& term) {
           return term.parts.size() == 1;
         });
}

}  // namespace

at::Tensor combine(const Numerics& numerics,
                   const std::vector<AttentionTerm>& terms,
                   const at::Tensor& v,
                   const AttentionOptions& options) {
  if (numerics.recorded && is_sum(terms, options)) {
    at::Tensor sum;
    for (const auto& term : terms) {
      const auto& [a, b] = term.parts[0];
      auto one = recorded_attention(a, b, v, term.scale);
      if (term.weight != 1.0) one = one * term.weight;
      sum = sum.defined() ? sum + one : one;
    }
    return sum;
  }
  return numerics.fused ? dense_attention(terms, v, options)
                        : dense_attention_eager(terms, v, options);
}

std::vector<AttentionTerm> self_terms(const Heads& heads,
                                      const Recipe& recipe,
                                      double scale,
                                      double weight) {
  std::vector<AttentionPart> parts;
  if (recipe.q) parts.push_back({heads.q, heads.q});
  if (recipe.k) parts.push_back({heads.k, heads.k});
  if (recipe.v) parts.push_back({heads.v, heads.v});
  if (recipe.attention == Attention::kSelfMean) {
    return {{parts, scale / static_cast<double>(parts.size()), weight}};
  }
  std::vector<AttentionTerm> terms;
  for (const auto& part : parts) terms.push_back({{part}, scale, weight});
  return terms;
}

Wanted wanted_by(const Recipe& recipe, const DenseOptions& options) {
  Wanted wanted;
  switch (recipe.attention) {
    case Attention::kSelf:
    case Attention::kSelfMean:
      wanted.q = recipe.q;
      wanted.k = recipe.k;
      break;
    case Attention::kNeighbour:
      wanted.q = options.neighbours_only;
      break;
    case Attention::kValues:
    case Attention::kProxy:
      wanted.q = wanted.k = false;
      break;
    default:
      break;
  }
  return wanted;
}

at::Tensor proxy_attention(const Numerics& numerics,
                           const at::Tensor& v,
                           Grid grid,
                           const DenseOptions& options) {
  const auto& features = options.proxy_features;
  const int64_t batch = v.size(0), width = v.size(2) * v.size(3);
  const int64_t rows = features.size(2), columns = features.size(3);
  const int64_t cells = rows * columns;
  const auto f = features.to(v.device(), at::kFloat).flatten(2);  // (B, Cv, M)
  const auto unit = (f / f.norm(2, {1}, true).clamp_min(1e-12))
                        .transpose(1, 2)
                        .contiguous();  // (B, M, Cv)
  // The mean of all similarities, over the batch too, as published: that of
  // the products is the product of the sums.
  const double pairs = static_cast<double>(batch * cells * cells);
  const double mean =
      unit.sum(1, false, at::kDouble).square().sum().item<double>() / pairs;

  auto values = v.flatten(2).to(at::kFloat);  // (B, N, C)
  values = at::upsample_bilinear2d(
               values.transpose(1, 2).reshape({batch, width, grid.h, grid.w}),
               {rows, columns},
               /*align_corners=*/false)
               .flatten(2)
               .transpose(1, 2)
               .contiguous();  // (B, M, C)
  AttentionOptions attention;
  attention.shift = -options.proxy_beta * options.proxy_gamma * mean;
  attention.drop_negative = true;
  const auto one_head = [](const at::Tensor& x) { return x.unsqueeze(2); };
  return combine(
             numerics,
             {{{{one_head(unit), one_head(unit)}}, options.proxy_gamma, 1.0}},
             one_head(values),
             attention)
      .to(v.scalar_type());
}

void check_proxy_features(const DenseOptions& options, int64_t images) {
  const auto& features = options.proxy_features;
  if (features.defined() && features.dim() == 4 && features.size(0) == images &&
      features.numel() > 0) {
    return;
  }
  throw Error(ErrorCode::kInvalidArg,
              std::string("Dense mode '") + dense_mode_name(options.mode) +
                  "' needs proxy.features, a float tensor [B, C, Hv, Wv] with "
                  "one map per image (" +
                  std::to_string(images) + " here).");
}

Grid dense_grid(Grid patches, const DenseOptions& options) {
  if (!recipe_of(options.mode).needs_proxy()) return patches;
  return {options.proxy_features.size(2), options.proxy_features.size(3)};
}

}  // namespace declip

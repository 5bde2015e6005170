#include "kernels/dense_attention.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <vector>

#include "declip/error.h"
#include "kernels/attention_math.h"
#include "kernels/cuda/on_device.h"
#include "kernels/element_type.h"

namespace declip {
namespace {

[[noreturn]] void refuse_heads(const char* what) {
  throw Error(ErrorCode::kInternal, std::string("dense_attention(): ") + what);
}

/// [B, L, n, d] -> [B, n, L, d].
at::Tensor by_head(const at::Tensor& x) { return x.transpose(1, 2); }

HeadRows rows_of(const at::Tensor& x, const at::Tensor& v) {
  if (x.dim() != 4 || x.stride(3) != 1 || x.size(0) != v.size(0) ||
      x.size(2) != v.size(2) || x.scalar_type() != v.scalar_type()) {
    refuse_heads("heads must be [B, L, n, d] of one dtype with contiguous d.");
  }
  return {x.const_data_ptr(), x.stride(0), x.stride(1), x.stride(2)};
}

/// gaussian(d, std) of d = 0..count - 1.
at::Tensor gaussians(int64_t count, double std) {
  auto values = at::empty({count}, at::kFloat);
  float* data = values.mutable_data_ptr<float>();
  for (int64_t d = 0; d < count; ++d) data[d] = gaussian(d, std);
  return values;
}

/// One softmax of one product: LibTorch has an operator for it.
bool is_plain(const std::vector<AttentionTerm>& terms,
              const AttentionOptions& options) {
  return terms.size() == 1 && terms[0].parts.size() == 1 &&
         terms[0].weight == 1.0 && options.shift == 0 &&
         !options.drop_negative && !options.prior && !options.scope;
}

/// Of scores [B, n, Lq, Lk]; the rows of queries that see nothing have their
/// own key.
at::Tensor visible_keys(const at::Tensor& scores, const GroupScope& scope) {
  const auto own = scope.queries.to(scores.device()).unsqueeze(1).unsqueeze(3);
  const auto other = scope.keys.to(scores.device()).unsqueeze(1).unsqueeze(2);
  const auto open = (own == kNoGroup).logical_or(other == kNoGroup);
  const auto visible = at::where(open, scores > scope.threshold, own == other)
                           .logical_or(other == kEveryGroup);
  const auto itself =
      at::eye(scores.size(2), scores.size(3), scores.options()).to(at::kBool);
  return visible.logical_or(
      itself.logical_and(visible.any(-1, /*keepdim=*/true).logical_not()));
}

at::Tensor eager_scores(const AttentionTerm& term,
                        const AttentionOptions& options) {
  at::Tensor scores;
  for (const auto& part : term.parts) {
    const auto product = at::matmul(by_head(part.a) * term.scale,
                                    by_head(part.b).transpose(-1, -2));
    scores = scores.defined() ? scores + product : product;
  }
  if (options.prior) {
    auto prior = neighbour_prior(*options.prior);
    const auto& factor = options.prior->factor;
    if (factor.defined())
      prior = prior.to(factor.device()) * factor.view({-1, 1, 1, 1});
    scores = scores.defined() ? scores + prior.to(scores.options()) : prior;
  }
  const auto visible =
      options.scope ? visible_keys(scores, *options.scope) : at::Tensor();
  if (options.shift != 0) scores = scores + options.shift;
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  if (options.causal) {
    const auto hidden = at::ones({scores.size(-2), scores.size(-1)},
                                 scores.options().dtype(at::kBool))
                            .triu(1);
    scores = scores.masked_fill(hidden, kNone);
  }
  if (visible.defined()) {
    scores = scores.masked_fill(visible.logical_not(), kNone);
  }
  if (options.drop_negative) {
    const auto has_others = scores.amax(-1, /*keepdim=*/true) >= 0;
    scores = scores.masked_fill((scores < 0).logical_and(has_others), kNone);
  }
  return scores;
}

}  // namespace

at::Tensor neighbour_prior(const NeighbourPrior& prior) {
  const auto rows = gaussians(prior.rows, prior.std);
  const auto columns = gaussians(prior.columns, prior.std);
  const auto distances = [](int64_t side) {
    const auto t = at::arange(side);
    return (t.unsqueeze(1) - t.unsqueeze(0)).abs().flatten();
  };
  const int64_t h = prior.rows, w = prior.columns;
  const auto y = rows.index_select(0, distances(h)).view({h, 1, h, 1});
  const auto x = columns.index_select(0, distances(w)).view({1, w, 1, w});
  return at::constant_pad_nd(
      (y * x).reshape({h * w, h * w}), {1, 0, 1, 0}, 0.0);
}

at::Tensor dense_attention_eager(const std::vector<AttentionTerm>& terms,
                                 const at::Tensor& v,
                                 const AttentionOptions& options) {
  if (is_plain(terms, options)) {
    const auto& part = terms[0].parts[0];
    return at::scaled_dot_product_attention(by_head(part.a),
                                            by_head(part.b),
                                            by_head(v),
                                            /*attn_mask=*/{},
                                            /*dropout_p=*/0.0,
                                            options.causal,
                                            terms[0].scale)
        .transpose(1, 2)
        .flatten(2);
  }
  at::Tensor weights;
  for (const auto& term : terms) {
    const auto one = eager_scores(term, options).softmax(-1) * term.weight;
    weights = weights.defined() ? weights + one : one;
  }
  return at::matmul(weights.to(v.scalar_type()), by_head(v))
      .transpose(1, 2)
      .flatten(2);
}

at::Tensor dense_attention(const std::vector<AttentionTerm>& terms,
                           const at::Tensor& v,
                           const AttentionOptions& options) {
  const auto type = element_type(v.scalar_type());
  if (!type || !has_twin(v.device(), *type) ||
      (v.is_cuda() && is_plain(terms, options))) {
    return dense_attention_eager(terms, v, options);
  }
  if (terms.size() > static_cast<size_t>(kAttentionTerms)) {
    const auto middle = terms.begin() + kAttentionTerms;
    return dense_attention({terms.begin(), middle}, v, options) +
           dense_attention({middle, terms.end()}, v, options);
  }
  AttentionArgs args;
  args.v = rows_of(v, v);
  args.batch = v.size(0);
  args.keys = v.size(1);
  args.heads = v.size(2);
  args.value_width = v.size(3);
  args.queries = args.keys;
  for (const auto& term : terms) {
    if (term.parts.size() > kAttentionParts) refuse_heads("too many parts.");
    auto& one = args.terms[args.term_count++];
    one.scale = static_cast<float>(term.scale);
    one.weight = static_cast<float>(term.weight);
    for (const auto& part : term.parts) {
      one.a[one.parts] = rows_of(part.a, v);
      one.b[one.parts] = rows_of(part.b, v);
      ++one.parts;
      if (part.b.size(1) != args.keys || part.a.size(3) != part.b.size(3)) {
        refuse_heads("keys do not fit the values.");
      }
      args.queries = part.a.size(1);
      args.width = part.a.size(3);
    }
  }
  for (const auto& term : terms) {
    for (const auto& part : term.parts) {
      if (part.a.size(1) != args.queries || part.a.size(3) != args.width) {
        refuse_heads("all terms must have the same queries.");
      }
    }
  }
  args.type = *type;
  args.causal = options.causal;
  args.drop_negative = options.drop_negative;
  args.shift = static_cast<float>(options.shift);
  at::Tensor factor;
  if (options.prior) {
    const auto& prior = *options.prior;
    if (args.keys != 1 + prior.rows * prior.columns ||
        args.queries != args.keys) {
      refuse_heads("the prior's grid does not fit the tokens.");
    }
    args.grid_rows = prior.rows;
    args.grid_columns = prior.columns;
    args.prior_std = prior.std;
    if (prior.factor.defined()) {
      factor = prior.factor.to(v.device(), at::kFloat).contiguous();
      args.prior_factor = factor.const_data_ptr<float>();
    }
  }
  at::Tensor query_groups, key_groups;
  if (options.scope) {
    const auto groups = [&](const at::Tensor& of, int64_t count) {
      if (of.sizes() != at::IntArrayRef{args.batch, count}) {
        refuse_heads("the scope's groups do not fit the tokens.");
      }
      return of.to(v.device(), at::kInt).contiguous();
    };
    query_groups = groups(options.scope->queries, args.queries);
    key_groups = groups(options.scope->keys, args.keys);
    args.query_groups = query_groups.const_data_ptr<int32_t>();
    args.key_groups = key_groups.const_data_ptr<int32_t>();
    args.scope_threshold = static_cast<float>(options.scope->threshold);
  }
  auto out = at::empty(
      {args.batch, args.queries, args.heads * args.value_width}, v.options());
  args.out = out.mutable_data_ptr();
  if (out.numel() == 0) return out;
  DECLIP_RUN_TWIN(v, dense_attention, args);
  return out;
}

}  // namespace declip

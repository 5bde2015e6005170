#include "kernels/dense_attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/dense_attention_args.h"
#include "random_planes.h"
#include "tap.h"

using declip::AttentionOptions;
using declip::AttentionTerm;

namespace {

/// Whether a query sees a key, see GroupScope.
bool sees(const declip::GroupScope& scope,
          int64_t b,
          int64_t query,
          int64_t key,
          double score) {
  const int own = scope.queries[b][query].item<int>();
  const int other = scope.keys[b][key].item<int>();
  if (other == -1) return true;
  if (own == 0 || other == 0) return score > scope.threshold;
  return own == other;
}

/// The formula, number by number: [B, Lq, n * e] in double.
at::Tensor plain_loops(const std::vector<AttentionTerm>& terms,
                       const at::Tensor& v,
                       const AttentionOptions& options) {
  // in double, to be read through accessors: [term][part] {a, b}
  std::vector<std::vector<std::pair<at::Tensor, at::Tensor>>> parts;
  for (const auto& term : terms) {
    auto& own = parts.emplace_back();
    for (const auto& part : term.parts)
      own.emplace_back(part.a.to(at::kDouble), part.b.to(at::kDouble));
  }
  const auto value = v.to(at::kDouble);
  const auto values = value.accessor<double, 4>();
  const int64_t batch = v.size(0), keys = v.size(1), heads = v.size(2);
  const int64_t queries =
      terms[0].parts.empty() ? keys : terms[0].parts[0].a.size(1);
  auto out = at::zeros({batch, queries, heads, v.size(3)}, at::kDouble);
  auto outs = out.accessor<double, 4>();
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t i = 0; i < queries; ++i) {
        std::vector<double> weights(keys);
        for (size_t t = 0; t < terms.size(); ++t) {
          const auto& term = terms[t];
          std::vector<double> scores(keys, options.shift);
          double largest = -std::numeric_limits<double>::infinity();
          for (int64_t j = 0; j < keys; ++j) {
            for (const auto& [left, right] : parts[t]) {
              const auto query = left.accessor<double, 4>()[b][i][h];
              const auto key = right.accessor<double, 4>()[b][j][h];
              double product = 0;
              for (int64_t d = 0; d < query.size(0); ++d)
                product += query[d] * key[d];
              scores[j] += term.scale * product;
            }
            if (options.prior && i > 0 && j > 0) {
              const auto& p = *options.prior;
              const double y = (i - 1) / p.columns - (j - 1) / p.columns;
              const double x = (i - 1) % p.columns - (j - 1) % p.columns;
              const double factor =
                  p.factor.defined() ? p.factor[b].item<double>() : 1.0;
              scores[j] +=
                  factor * std::exp(-(y * y + x * x) / (2 * p.std * p.std));
            }
            if (options.causal && j > i) {
              scores[j] = -std::numeric_limits<double>::infinity();
            }
            if (options.scope && !sees(*options.scope, b, i, j, scores[j])) {
              scores[j] = -std::numeric_limits<double>::infinity();
            }
            largest = std::max(largest, scores[j]);
          }
          if (std::isinf(largest)) largest = scores[i] = 0;
          double sum = 0;
          for (double& score : scores) {
            // not where all are negative
            const bool dropped =
                options.drop_negative && score < 0 && largest >= 0;
            score = dropped ? 0 : std::exp(score - largest);
            sum += score;
          }
          for (int64_t j = 0; j < keys; ++j)
            weights[j] += term.weight * scores[j] / sum;
        }
        for (int64_t e = 0; e < v.size(3); ++e) {
          double value = 0;
          for (int64_t j = 0; j < keys; ++j)
            value += weights[j] * values[b][j][h][e];
          outs[b][i][h][e] = value;
        }
      }
    }
  }
  return out.flatten(2);
}

struct Qkv {
  at::Tensor q, k, v;
};

/// Slices of one tensor, as a fused projection gives them.
Qkv random_heads(Random& random, int64_t b, int64_t l, int64_t n, int64_t d) {
  const auto parts = (2 * random.tensor({b, l, 3 * n * d})).chunk(3, -1);
  return {parts[0].unflatten(-1, {n, d}),
          parts[1].unflatten(-1, {n, d}),
          parts[2].unflatten(-1, {n, d})};
}

void compare(const std::vector<AttentionTerm>& terms,
             const at::Tensor& v,
             const AttentionOptions& options = {}) {
  const auto expected = plain_loops(terms, v, options);
  CHECK_CLOSE(
      distance(declip::dense_attention(terms, v, options), expected), 0, 4e-6);
  // LibTorch's float32 sums: what the kernel replaces
  CHECK_CLOSE(
      distance(declip::dense_attention_eager(terms, v, options), expected),
      0,
      1e-5);
}

}  // namespace

TEST(every_combination_matches_plain_loops) {
  Random random;
  for (int round = 0; round < 12; ++round) {
    const int64_t rows = random.integer(1, 6), columns = random.integer(1, 7);
    // also longer than a block of queries and than two panels of keys
    const int64_t tokens = round == 0 ? 1 + 8 * 9 : 1 + rows * columns;
    const int64_t n = random.integer(1, 3), d = random.integer(1, 40);
    const auto [q, k, v] =
        random_heads(random, random.integer(1, 2), tokens, n, d);
    const double scale = 1.0 / std::sqrt(static_cast<double>(d));
    compare({{{{q, k}}, scale, 1.0}}, v);
    compare({{{{q, q}}, scale, 1.0}, {{{k, k}}, scale, 1.0}}, v);
    compare({{{{q, q}, {k, k}, {v, v}}, scale / 3, 1.0}}, v);
    compare({{{{q, k}}, scale, 0.5},
             {{{k, q}}, scale, 0.25},
             {{{q, q}}, scale, 0.25}},
            v);
    AttentionOptions causal;
    causal.causal = true;
    compare({{{{q, k}}, scale, 1.0}}, v, causal);
  }
}

TEST(the_prior_follows_the_grid) {
  Random random;
  for (int round = 0; round < 6; ++round) {
    const int64_t rows = random.integer(1, 6), columns = random.integer(1, 6);
    const auto [q, k, v] = random_heads(random, 2, 1 + rows * columns, 2, 8);
    AttentionOptions options;
    options.prior =
        declip::NeighbourPrior{rows, columns, random.real(0.5, 5), {}};
    compare({{{{k, k}}, 0.3, 1.0}}, v, options);
    options.prior->factor = random.tensor({2}).abs();
    compare({{{}, 1.0, 1.0}}, v, options);
  }
}

TEST(negative_scores_are_dropped_and_widths_may_differ) {
  Random random;
  const auto f = random.tensor({2, 30, 1, 17});
  const auto unit = f / f.norm(2, {3}, true);
  const auto v = random.tensor({2, 30, 1, 70});
  AttentionOptions options;
  options.shift = -0.4;
  options.drop_negative = true;
  compare({{{{unit, unit}}, 3.0, 1.0}}, v, options);
}

TEST(rows_without_a_score_above_zero_keep_all) {
  Random random;
  // As of a wall: all directions are nearly one.
  const auto f = at::ones({1, 40, 1, 9}) + 0.4 * random.tensor({1, 40, 1, 9});
  const auto unit = f / f.norm(2, {3}, true);
  const auto v = random.tensor({1, 40, 1, 21});
  AttentionOptions options;
  options.drop_negative = true;
  options.shift = -3.0;
  // Shorter queries have no score above 0, longer ones some.
  const auto lengths = at::where(at::arange(40) % 3 == 0, 0.9, 1.1);
  const auto some = unit * lengths.to(at::kFloat).view({1, 40, 1, 1});
  for (const auto& queries : {unit * 0.9, some}) {
    const std::vector<AttentionTerm> terms{{{{queries, unit}}, 3.0, 1.0}};
    CHECK(declip::dense_attention(terms, v, options)
              .isfinite()
              .all()
              .item<bool>());
    compare(terms, v, options);
    options.causal = true;
    compare(terms, v, options);
    options.causal = false;
  }
}

TEST(queries_see_their_group_and_what_is_like_them) {
  Random random;
  const auto groups = [&](int64_t b, int64_t count, int64_t least) {
    auto out = at::empty({b, count}, at::kInt);
    for (int64_t i = 0; i < out.numel(); ++i)
      out.view(-1)[i] = random.integer(least, 3);
    return out;
  };
  for (int round = 0; round < 6; ++round) {
    const int64_t tokens = round == 0 ? 200 : random.integer(1, 60);
    const int64_t b = random.integer(1, 2), n = random.integer(1, 2);
    const auto [q, k, v] = random_heads(random, b, tokens, n, 9);
    AttentionOptions options;
    const auto same = groups(b, tokens, 0);
    options.scope = declip::GroupScope{same, same, random.real(-0.5, 3)};
    compare({{{{q, k}}, 0.7, 1.0}}, v, options);
    // What nothing is above: rows in no group have their own key alone.
    options.scope->threshold = 1000;
    compare({{{{q, k}}, 0.7, 1.0}}, v, options);
    // Other queries than keys, which some groups have and all see the first.
    auto keys = groups(b, tokens, 1);
    keys.select(1, 0).fill_(declip::kEveryGroup);
    const int64_t few = random.integer(1, 5);
    options.scope = declip::GroupScope{groups(b, few, 1), keys};
    const auto some = random.tensor({b, few, n, 9});
    compare({{{{some, k}}, 0.7, 1.0}}, v, options);
  }
}

TEST(the_queries_of_few_heads_are_split) {
  Random random;
  // More than one task's queries, which are 96 or 192: two pieces, three, and a
  // last one that is short, or of one query.
  for (const int64_t tokens : {193, 250, 385, 577}) {
    const int64_t batch = tokens == 250 ? 2 : 1, n = tokens == 577 ? 3 : 1;
    const tap::Case here(std::to_string(tokens) + " tokens");
    const auto [q, k, v] = random_heads(random, batch, tokens, n, 8);
    compare({{{{q, k}}, 0.3, 1.0}}, v);
    compare({{{{q, q}}, 0.3, 1.0}, {{{k, k}}, 0.3, 1.0}}, v);
    AttentionOptions causal;
    causal.causal = true;
    compare({{{{q, k}}, 0.3, 1.0}}, v, causal);
    AttentionOptions prior;
    prior.prior = declip::NeighbourPrior{1, tokens - 1, 5.0, {}};
    compare({{{{k, k}}, 0.3, 1.0}}, v, prior);
  }
}

TEST(one_query_may_look_at_many_keys) {
  Random random;
  const auto [q, k, v] = random_heads(random, 3, 50, 2, 16);
  compare({{{{q.slice(1, 0, 1), k}}, 0.25, 1.0}}, v);
}

TEST(bfloat16_differs_by_its_rounding_only) {
  Random random;
  const auto [q, k, v] = random_heads(random, 2, 60, 2, 24);
  const auto half = [](const at::Tensor& x) { return x.to(at::kBFloat16); };
  const std::vector<AttentionTerm> rounded{
      {{{half(q).to(at::kFloat), half(k).to(at::kFloat)}}, 0.2, 1.0}};
  const auto expected = plain_loops(rounded, half(v).to(at::kFloat), {});
  const auto got =
      declip::dense_attention({{{{half(q), half(k)}}, 0.2, 1.0}}, half(v));
  CHECK(got.scalar_type() == at::kBFloat16);
  // Inputs are exact, so only the result is rounded: half a unit of 8 bits.
  CHECK_CLOSE(distance(got, expected), 0, 2.0 / 256);
}

TEST(heads_that_do_not_fit_are_refused) {
  Random random;
  const auto [q, k, v] = random_heads(random, 1, 5, 2, 4);
  CHECK_THROWS_CODE(
      declip::dense_attention({{{{q, k.slice(1, 0, 4)}}, 1.0, 1.0}}, v),
      declip::ErrorCode::kInternal);
  AttentionOptions options;
  options.prior = declip::NeighbourPrior{3, 3, 1.0, {}};
  CHECK_THROWS_CODE(declip::dense_attention({{{{q, k}}, 1.0, 1.0}}, v, options),
                    declip::ErrorCode::kInternal);
}

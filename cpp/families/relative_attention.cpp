#include "families/relative_attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/dense_attention.h"

namespace declip {
namespace {

/// Lengthened queries and keys, or scores, that are held at a time.
constexpr int64_t kHeldBytes = int64_t{64} << 20;

/// table [length, d] -> [side, side, d]: row y - y' + side - 1 for every y, y'.
at::Tensor by_distance(const at::Tensor& table, int64_t side) {
  const int64_t length = 2 * side - 1;
  auto resized = table;
  if (table.size(0) != length) {
    resized = at::upsample_linear1d(table.t().unsqueeze(0).to(at::kFloat),
                                    {length},
                                    /*align_corners=*/false)
                  .squeeze(0)
                  .t();
  }
  const auto at = at::arange(side, table.options().dtype(at::kLong));
  const auto distance = at.unsqueeze(1) - at.unsqueeze(0) + (side - 1);
  return resized.index_select(0, distance.flatten())
      .view({side, side, table.size(1)});
}

/// x [groups, M, d] times the transpose of table [groups, side, d].
at::Tensor products(const at::Tensor& x, const at::Tensor& table) {
  return at::bmm(x, table.transpose(1, 2).to(x.scalar_type()));
}

struct Lengthened {
  at::Tensor q, k;  // [B, L, n, d + a + b]; the score is their product
};

Lengthened lengthen(const at::Tensor& q,
                    const at::Tensor& k,
                    const at::Tensor& rows,
                    const at::Tensor& columns) {
  const int64_t batch = q.size(0), n = q.size(2), d = q.size(3);
  const int64_t a = rows.size(0), b = columns.size(0);
  const auto grid = q.reshape({batch, a, b, n, d});
  const auto heights =
      products(grid.transpose(0, 1).reshape({a, batch * b * n, d}), rows)
          .view({a, batch, b, n, a})
          .transpose(0, 1)
          .reshape({batch, a * b, n, a});
  const auto widths =
      products(grid.permute({2, 0, 1, 3, 4}).reshape({b, batch * a * n, d}),
               columns)
          .view({b, batch, a, n, b})
          .permute({1, 2, 0, 3, 4})
          .reshape({batch, a * b, n, b});
  const auto unit_rows =
      at::eye(a, k.options()).repeat_interleave(b, 0).view({1, a * b, 1, a});
  const auto unit_columns =
      at::eye(b, k.options()).repeat({a, 1}).view({1, a * b, 1, b});
  const double scale = 1.0 / std::sqrt(static_cast<double>(d));
  return {at::cat({q * scale, heights, widths}, 3),
          at::cat({k,
                   unit_rows.expand({batch, -1, n, -1}),
                   unit_columns.expand({batch, -1, n, -1})},
                  3)};
}

}  // namespace

at::Tensor relative_attention(const Heads& heads,
                              const at::Tensor& rows,
                              const at::Tensor& columns,
                              int64_t a,
                              int64_t b,
                              const Numerics& numerics,
                              const Call& call) {
  const auto row_table = by_distance(rows, a);
  const auto column_table = by_distance(columns, b);
  const int64_t batch = heads.q.size(0), n = heads.q.size(2);
  const int64_t tokens = a * b, bytes = heads.q.element_size();
  const bool streams = numerics.fused && heads.q.is_cpu();

  const int64_t per_head =
      2 * batch * tokens * (heads.q.size(3) + a + b) * bytes;
  const int64_t group =
      streams ? std::clamp<int64_t>(kHeldBytes / per_head, 1, n) : 1;
  const int64_t per_query = batch * tokens * bytes;
  const int64_t queries =
      streams ? tokens : std::clamp<int64_t>(kHeldBytes / per_query, 1, tokens);

  std::vector<at::Tensor> merged;
  for (int64_t head = 0; head < n; head += group) {
    const auto some = [&](const at::Tensor& x) {
      return x.slice(2, head, std::min(head + group, n));
    };
    const auto longer =
        lengthen(some(heads.q), some(heads.k), row_table, column_table);
    std::vector<at::Tensor> parts;
    for (int64_t first = 0; first < tokens; first += queries) {
      call.check();
      AttentionTerm term;  // scaled already
      term.parts = {
          {longer.q.slice(1, first, std::min(first + queries, tokens)),
           longer.k}};
      parts.push_back(streams ? dense_attention({term}, some(heads.v))
                              : dense_attention_eager({term}, some(heads.v)));
    }
    merged.push_back(parts.size() == 1 ? parts[0] : at::cat(parts, 1));
  }
  return merged.size() == 1 ? merged[0] : at::cat(merged, 2);
}

}  // namespace declip

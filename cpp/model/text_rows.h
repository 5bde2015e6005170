#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/config.h"

namespace declip {

/// Rows of tokens that are computed together, since equally many of their
/// positions take part. Masked padding is left out: what nobody attends to and
/// no mean counts need not be computed, and no mask is needed then.
struct TextRows {
  std::vector<int64_t> row;  // of the tokens that were given
  at::Tensor ids;            // [B, L] int64
  at::Tensor positions;      // [B, L] int64, of the ids in their rows
  at::Tensor pooled;         // [B] int64, which of the L is pooled; undefined
                             // for a mean
  int64_t keys = 0;          // positions 0..keys - 1 are attended to, by all
};

/// The end token of each row [T]: the first of config.eot_token, the first
/// largest id where there is none; 0 in a row without it.
at::Tensor end_tokens(const at::Tensor& tokens, const TextConfig& config);

/// Whether what stands behind the pooled position changes nothing and what
/// stands before it all takes part: the tower is causal, pools one position
/// that tokens tell, and masks no padding.
bool ends_at_pooled(const TextConfig& config);

/// tokens [T, L <= context] (int64, CPU) of any tower, in groups of at most
/// `most_rows` rows and `most_tokens` positions, but at least one row.
///
/// Where padding takes part or the last position is pooled, rows are filled up
/// to the whole context with config.fill_token. A padding token that is pooled
/// though it is masked attends without being attended to.
std::vector<TextRows> group_rows(const at::Tensor& tokens,
                                 const TextConfig& config,
                                 int64_t most_rows,
                                 int64_t most_tokens);

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace declip {

// Attention as the dense modes combine it, for every head:
//
//   out = (sum over terms: weight * softmax(scale * sum over parts: a b^T
//                                           + shift + prior)) v
//
// One term with the part (q, k) is ordinary attention; DeCLIP's csa
// (arXiv:2505.04410) has the terms (q, q) and (k, k); ITACLIP
// (arXiv:2411.12044) adds those of earlier blocks; NACLIP (arXiv:2404.08181)
// has (k, k) and the prior; ProxyCLIP (arXiv:2408.04883) attends with another
// model's features and drops negative scores; CorrCLIP (arXiv:2411.10086) lets
// the patches of a region look at each other alone.

/// Heads are [B, L, n, d] views whose last dimension is contiguous: slices of a
/// fused projection as they come, without a copy.
struct AttentionPart {
  at::Tensor a;  // [B, Lq, n, d]
  at::Tensor b;  // [B, Lk, n, d]
};

struct AttentionTerm {
  std::vector<AttentionPart> parts;  // at most 3; none: scores start at 0
  double scale = 1.0;
  double weight = 1.0;
};

/// A Gaussian of the distance between patches, added to the scores; nothing for
/// the class token, which is token 0.
struct NeighbourPrior {
  int64_t rows = 0;     // patches
  int64_t columns = 0;  // patches
  double std = 1.0;     // patches
  at::Tensor factor;    // float32 [B], or undefined for 1
};

/// Which keys a query sees: those of its group. Queries and keys in no group
/// see, and are seen by, all whose scaled score is above a threshold. CorrCLIP
/// (arXiv:2411.10086).
struct GroupScope {
  at::Tensor queries;  // int32 [B, Lq]: a group, or kNoGroup
  at::Tensor keys;     // int32 [B, Lk]: the same, or kEveryGroup
  double threshold = std::numeric_limits<double>::infinity();
};

struct AttentionOptions {
  bool causal = false;  // token i sees tokens 0..i
  double shift = 0.0;
  /// Scores below 0 take no part, except in a row that has no others.
  bool drop_negative = false;
  std::optional<NeighbourPrior> prior;
  /// A query that would see nothing sees the key of its own number.
  std::optional<GroupScope> scope;
};

/// v [B, Lk, n, e] -> [B, Lq, n * e] in v's dtype; scores and sums in float32.
/// No scores outlive the rows they are for. float32 and bfloat16 on the CPU;
/// float32, bfloat16 and float16 on CUDA, where ordinary attention is
/// LibTorch's own.
at::Tensor dense_attention(const std::vector<AttentionTerm>& terms,
                           const at::Tensor& v,
                           const AttentionOptions& options = {});

/// The same, composed of LibTorch's operators: any device and dtype, with
/// gradients; keeps [B, n, Lq, Lk] scores.
at::Tensor dense_attention_eager(const std::vector<AttentionTerm>& terms,
                                 const at::Tensor& v,
                                 const AttentionOptions& options = {});

/// What a prior adds to the scores of patches, [1 + N, 1 + N].
at::Tensor neighbour_prior(const NeighbourPrior& prior);

}  // namespace declip

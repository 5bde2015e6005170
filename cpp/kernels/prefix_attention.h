#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "kernels/cpu/level.h"

namespace declip {

/// Causal attention of tokens that form a tree: token u sees the tokens on the
/// path from the root to itself. CPU, float32 or bfloat16, sums in float32.
///
/// q, k, v     [U, n, d] views with a contiguous last dimension
/// path        path[path_begin[u] .. path_begin[u + 1]] are u's tokens
/// Returns [U, n * d].
at::Tensor prefix_attention(const at::Tensor& q,
                            const at::Tensor& k,
                            const at::Tensor& v,
                            const std::vector<int32_t>& path,
                            const std::vector<int64_t>& path_begin,
                            double scale);

struct PrefixAttentionArgs {
  const float* q = nullptr;  // token u, head h starts at u * token + h * head
  const float* k = nullptr;
  const float* v = nullptr;
  int64_t token = 0;  // elements from a token to the next, for q, k and v
  int64_t head = 0;
  int64_t tokens = 0;
  int64_t heads = 0;
  int64_t width = 0;
  const int32_t* path = nullptr;
  const int64_t* path_begin = nullptr;
  float scale = 1.0f;
  float* out = nullptr;  // contiguous [U, n, d]
};

namespace cpu {
DECLIP_CPU_TWIN(void,
                prefix_attention,
                (const PrefixAttentionArgs& attention),
                (attention))
}  // namespace cpu

}  // namespace declip

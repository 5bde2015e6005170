#pragma once

#include <cstdint>

#include "kernels/cuda/twin.h"
#include "kernels/element_math.h"

namespace declip {

/// Tensor [B, L, n, d]; strides in elements, the last one is 1.
struct HeadRows {
  const void* data = nullptr;
  int64_t batch = 0;
  int64_t token = 0;
  int64_t head = 0;
};

constexpr int64_t kAttentionParts = 3;
/// Terms of one call: they travel in a CUDA kernel's arguments, 4 KB at most.
constexpr int64_t kAttentionTerms = 16;

struct AttentionTermArgs {
  HeadRows a[kAttentionParts];
  HeadRows b[kAttentionParts];
  int64_t parts = 0;
  float scale = 1.0f;
  float weight = 1.0f;
};

/// Values of a group: in none, and of keys that every query sees.
constexpr int32_t kNoGroup = 0;
constexpr int32_t kEveryGroup = -1;

struct AttentionArgs {
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t queries = 0;
  int64_t keys = 0;
  int64_t width = 0;        // of a and b
  int64_t value_width = 0;  // of v
  AttentionTermArgs terms[kAttentionTerms];
  int64_t term_count = 0;
  HeadRows v;
  void* out = nullptr;  // contiguous [B, Lq, n, value_width]
  ElementType type = ElementType::kFloat32;  // of a, b, v and out
  bool causal = false;
  bool drop_negative = false;
  float shift = 0.0f;
  // Prior: tokens 1.. lie on a grid, token 0 has none; grid_rows 0 for none.
  int64_t grid_rows = 0;
  int64_t grid_columns = 0;
  double prior_std = 1.0;
  const float* prior_factor = nullptr;  // [B], or null for 1
  // Scope, see GroupScope: contiguous [B, Lq] and [B, Lk], or null for none.
  const int32_t* query_groups = nullptr;
  const int32_t* key_groups = nullptr;
  float scope_threshold = 0.0f;
};

static_assert(sizeof(AttentionArgs) <= 4096);

DECLIP_TWINS(dense_attention, (const AttentionArgs& attention), (attention))

}  // namespace declip

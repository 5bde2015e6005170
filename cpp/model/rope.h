#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace declip {

/// Angles of EVA02's two-dimensional rotary positions.
struct RopeTable {
  at::Tensor cos;  // [h*w, d] float32
  at::Tensor sin;  // [h*w, d] float32
};

/// Table for an h x w patch grid and head width d.
///
/// The first d/2 channels follow the row, the rest the column; frequencies
/// 10000^(-2i/(d/2)) repeated twice, interleaved; position j of a side of
/// length s counts as j/s*16 (EVA's `intp_freq` with `pt_hw_seq_len` 16).
/// EVA's own code knows square grids only; separate sides are our extension
/// and coincide with it on squares. EVA-02, arXiv:2303.11331.
RopeTable rope_table(int64_t h, int64_t w, int64_t head_width);

/// Table of DINOv3's rotary positions for an h x w patch grid and head width d,
/// a multiple of 4, for heads whose channels p and p + d / 2 stand at 2p and
/// 2p + 1.
///
/// Patch (i, j) stands at 2 (i + 1/2) / h - 1, 2 (j + 1/2) / w - 1; its angles
/// are 2 pi 100^(-4k/d) times these, k = 0 .. d/4 - 1, rows before columns.
/// Siméoni et al., arXiv:2508.10104.
RopeTable centred_rope_table(int64_t h, int64_t w, int64_t head_width);

/// Rotates the patch rows of x [B, prefix + N, n, d]; the prefix (class token,
/// registers) stays.
/// Adjacent channels form the rotated pairs (the interleaved form).
at::Tensor rotate_patches(const at::Tensor& x,
                          const RopeTable& table,
                          int64_t prefix);

}  // namespace declip

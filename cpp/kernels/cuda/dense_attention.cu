// One block takes kQueries queries of a head and kValues columns of the values
// (all of them for the usual head widths), and goes over the keys kKeys at a
// time, term by term:
//
//   scores[q, k] = sum over parts and d of scale * a[q, d] * b[k, d]
//   online softmax: a row keeps its maximum so far, the sum of exp(score -
//   maximum) and the values summed with those weights; when the maximum grows,
//   both sums are rescaled
//   total[q, e] += weight * values[q, e] / sum
//
// 256 threads as 16 x 16: thread (ty, tx) owns rows 4 ty.. and columns tx + 16
// j of the scores, and the same rows of the values, so that the statistics of a
// row stay in the registers of the 16 lanes that share it. Tiles of a and b
// (kDepth channels) and of v (kSlice keys) take turns in one buffer. Products
// are float32 multiply-adds, whatever the inputs are: this is for the last
// block of the dense modes; ordinary attention is LibTorch's. Memory: a once, b
// and v once per block of queries, out once; no scores leave the block.

#include "kernels/attention_math.h"
#include "kernels/cuda/cuda_common.cuh"
#include "kernels/dense_attention_args.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

constexpr int kQueries = 64;
constexpr int kKeys = 64;
constexpr int kDepth = 32;  // channels of a and b in a tile
constexpr int kSlice = 32;  // keys of v in a tile
constexpr int kSide = 16;   // threads along each axis of a tile
constexpr int kThreads = kSide * kSide;
constexpr int kRows = kQueries / kSide;  // of the scores, per thread
constexpr int kColumns = kKeys / kSide;
constexpr int kPitch = kDepth + 1;  // keeps banks apart
constexpr int kSharePitch = kKeys + 1;

template <typename T>
__device__ const T* head_of(const HeadRows& rows, int64_t b, int64_t h) {
  return static_cast<const T*>(rows.data) + b * rows.batch + h * rows.head;
}

__device__ int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/// tile[r][c] = scale * rows[first + r][column + c], zeros outside.
template <typename T>
__device__ void load_tile(const T* rows,
                          int64_t stride,
                          int64_t first,
                          int64_t count,
                          int64_t column,
                          int64_t width,
                          float scale,
                          float* tile) {
  for (int i = threadIdx.x; i < kQueries * kDepth; i += kThreads) {
    const int r = i / kDepth, c = i % kDepth;
    const bool inside = first + r < count && column + c < width;
    tile[r * kPitch + c] =
        inside ? scale * value(rows[(first + r) * stride + column + c]) : 0.0f;
  }
}

/// kValues: columns of v that a block takes.
template <typename T, int kValues>
__global__ void __launch_bounds__(kThreads) attend(AttentionArgs x) {
  static_assert(kQueries == kKeys, "a and b share load_tile()");
  constexpr int kWide = kValues / kSide;  // columns of v per thread
  constexpr int kTiles = 2 * kQueries * kPitch;
  constexpr int kBuffer = kTiles > kSlice * kValues ? kTiles : kSlice * kValues;
  __shared__ float buffer[kBuffer];
  __shared__ float shares[kQueries * kSharePitch];
  float* a_tile = buffer;
  float* b_tile = buffer + kQueries * kPitch;
  float* v_tile = buffer;

  const int tx = threadIdx.x % kSide, ty = threadIdx.x / kSide;
  const int64_t blocks = (x.queries + kQueries - 1) / kQueries;
  const int64_t first = blockIdx.x % blocks * kQueries;
  const int64_t b = blockIdx.x / blocks / x.heads;
  const int64_t h = blockIdx.x / blocks % x.heads;
  const int64_t column = static_cast<int64_t>(blockIdx.y) * kValues;
  // Causal queries see no key after the last of them.
  const int64_t keys = x.causal ? smaller(x.keys, first + kQueries) : x.keys;
  const float factor = x.prior_factor ? x.prior_factor[b] : 1.0f;
  const auto decay =
      static_cast<float>(1.0 / (2.0 * x.prior_std * x.prior_std));
  const T* values = head_of<T>(x.v, b, h);

  float total[kRows][kWide] = {};
  for (int64_t t = 0; t < x.term_count; ++t) {
    const AttentionTermArgs& term = x.terms[t];
    float largest[kRows], sum[kRows];
    float summed[kRows][kWide] = {};
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      largest[r] = kNoScore;
      sum[r] = 0.0f;
    }
    for (int64_t key = 0; key < keys; key += kKeys) {
      float scores[kRows][kColumns] = {};
      for (int64_t p = 0; p < term.parts; ++p) {
        for (int64_t d = 0; d < x.width; d += kDepth) {
          __syncthreads();  // the buffer's last tile was read
          load_tile(head_of<T>(term.a[p], b, h),
                    term.a[p].token,
                    first,
                    x.queries,
                    d,
                    x.width,
                    term.scale,
                    a_tile);
          load_tile(head_of<T>(term.b[p], b, h),
                    term.b[p].token,
                    key,
                    x.keys,
                    d,
                    x.width,
                    1.0f,
                    b_tile);
          __syncthreads();
#pragma unroll 4
          for (int k = 0; k < kDepth; ++k) {
            float rows[kRows], columns[kColumns];
#pragma unroll
            for (int r = 0; r < kRows; ++r)
              rows[r] = a_tile[(ty * kRows + r) * kPitch + k];
#pragma unroll
            for (int c = 0; c < kColumns; ++c)
              columns[c] = b_tile[(tx + c * kSide) * kPitch + k];
#pragma unroll
            for (int r = 0; r < kRows; ++r) {
#pragma unroll
              for (int c = 0; c < kColumns; ++c)
                scores[r][c] += rows[r] * columns[c];
            }
          }
        }
      }

#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const int64_t query = first + ty * kRows + r;
        float peak = largest[r];
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
          const int64_t j = key + tx + c * kSide;
          float score = scores[r][c];
          if (x.grid_rows > 0) {
            score += factor * neighbour_score(query, j, x.grid_columns, decay);
          }
          bool hidden = j >= keys || (x.causal && j > query);
          if (x.query_groups != nullptr && !hidden && query < x.queries) {
            hidden = !in_scope(x.query_groups[b * x.queries + query],
                               x.key_groups[b * x.keys + j],
                               score,
                               x.scope_threshold);
          }
          score = final_score(score, x.shift, hidden);
          scores[r][c] = score;
          peak = score > peak ? score : peak;
        }
#pragma unroll
        for (int offset = kSide / 2; offset > 0; offset /= 2) {
          const float other = __shfl_xor_sync(0xffffffffu, peak, offset);
          peak = other > peak ? other : peak;
        }
        const float again = rescale(largest[r], peak, x.drop_negative);
        largest[r] = peak;
        float added = 0.0f;
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
          const float e = share(scores[r][c], peak, x.drop_negative);
          shares[(ty * kRows + r) * kSharePitch + tx + c * kSide] = e;
          added += e;
        }
#pragma unroll
        for (int offset = kSide / 2; offset > 0; offset /= 2)
          added += __shfl_xor_sync(0xffffffffu, added, offset);
        sum[r] = sum[r] * again + added;
#pragma unroll
        for (int c = 0; c < kWide; ++c) summed[r][c] *= again;
      }

      for (int slice = 0; slice < kKeys; slice += kSlice) {
        __syncthreads();  // shares are written, the buffer's tile was read
        for (int i = threadIdx.x; i < kSlice * kValues; i += kThreads) {
          const int64_t j = key + slice + i / kValues;
          const int64_t e = column + i % kValues;
          v_tile[i] = j < keys && e < x.value_width
                          ? value(values[j * x.v.token + e])
                          : 0.0f;
        }
        __syncthreads();
#pragma unroll 4
        for (int k = 0; k < kSlice; ++k) {
#pragma unroll
          for (int r = 0; r < kRows; ++r) {
            const float e = shares[(ty * kRows + r) * kSharePitch + slice + k];
#pragma unroll
            for (int c = 0; c < kWide; ++c)
              summed[r][c] += e * v_tile[k * kValues + tx + c * kSide];
          }
        }
      }
      __syncthreads();  // shares were read
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int64_t query = first + ty * kRows + r;
      // A query that sees nothing has the key of its own number.
      if (x.query_groups != nullptr && sum[r] == 0.0f && query < x.keys) {
        sum[r] = 1.0f;
#pragma unroll
        for (int c = 0; c < kWide; ++c) {
          const int64_t e = column + tx + c * kSide;
          summed[r][c] =
              e < x.value_width ? value(values[query * x.v.token + e]) : 0.0f;
        }
      }
      const float weight = term.weight / sum[r];
#pragma unroll
      for (int c = 0; c < kWide; ++c) total[r][c] += weight * summed[r][c];
    }
  }

#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int64_t query = first + ty * kRows + r;
    if (query >= x.queries) continue;
    T* out = static_cast<T*>(x.out) +
             ((b * x.queries + query) * x.heads + h) * x.value_width;
#pragma unroll
    for (int c = 0; c < kWide; ++c) {
      const int64_t e = column + tx + c * kSide;
      if (e < x.value_width) put(total[r][c], out[e]);
    }
  }
}

template <typename T, int kValues>
void run(const AttentionArgs& x, Stream stream) {
  const int64_t blocks =
      (x.queries + kQueries - 1) / kQueries * x.heads * x.batch;
  const int64_t chunks = (x.value_width + kValues - 1) / kValues;
  launch("dense_attention",
         attend<T, kValues>,
         dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(chunks), 1),
         dim3(kThreads, 1, 1),
         stream,
         x);
}

template <typename T>
void run_for_width(const AttentionArgs& x, Stream stream) {
  x.value_width <= 64 ? run<T, 64>(x, stream) : run<T, 128>(x, stream);
}

}  // namespace

void dense_attention(const AttentionArgs& attention, Stream stream) {
  switch (attention.type) {
    case ElementType::kBFloat16:
      return run_for_width<BFloat16>(attention, stream);
    case ElementType::kFloat16:
      return run_for_width<Float16>(attention, stream);
    default:
      return run_for_width<float>(attention, stream);
  }
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

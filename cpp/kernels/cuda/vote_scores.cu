// One warp per row; a lane reads every 32nd word of both inputs three times,
// for the maxima, the sums and the result, the second and third time from the
// first-level cache. With several words a class the largest score is found by
// an atomic maximum of its bits, which order like scores of at least 0.

#include <cmath>

#include "kernels/cuda/cuda_common.cuh"
#include "kernels/vote_scores_args.h"
#include "kernels/vote_scores_math.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

constexpr int kVoteRows = 8;  // of a block

__device__ float warp_largest(float x) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, x, offset);
    x = other > x ? other : x;
  }
  return x;
}

__global__ void score_rows(VoteScoresArgs args) {
  const int lane = threadIdx.x;
  const int64_t row =
      static_cast<int64_t>(blockIdx.x) * kVoteRows + threadIdx.y;
  if (row >= args.rows) return;  // all lanes of a warp together
  const float* a = args.cosines + row * args.words;
  const float* b = args.votes + row * args.words;
  float* out = args.out + row * args.classes;
  const float ta = args.temperature, tb = args.vote_temperature;

  float largest_a = ta * a[0], largest_b = tb * b[0], bad = 0.0f;
  for (int64_t i = lane; i < args.words; i += kWarp) {
    const float x = ta * a[i], y = tb * b[i];
    largest_a = x > largest_a ? x : largest_a;
    largest_b = y > largest_b ? y : largest_b;
    if (!(x == x) || !(y == y)) bad += 1.0f;
  }
  largest_a = warp_largest(largest_a);
  largest_b = warp_largest(largest_b);
  bad = warp_sum(bad);
  float sum_a = 0.0f, sum_b = 0.0f;
  for (int64_t i = lane; i < args.words; i += kWarp) {
    sum_a += exp_negative(ta * a[i] - largest_a);
    sum_b += exp_negative(tb * b[i] - largest_b);
  }
  const float log_a = largest_a + logf(warp_sum(sum_a));
  const float log_b = largest_b + logf(warp_sum(sum_b));
  const bool grouped = args.word_class != nullptr;
  if (grouped || bad > 0.0f) {
    const float start = bad > 0.0f ? nanf("") : 0.0f;
    for (int64_t c = lane; c < args.classes; c += kWarp) out[c] = start;
    if (bad > 0.0f) return;
  }
#if defined(__CUDA_ARCH__)
  __threadfence_block();
#endif
  warp_sum(0.0f);  // every lane has written its zeros
  for (int64_t i = lane; i < args.words; i += kWarp) {
    const int64_t c = grouped ? args.word_class[i] : i;
    const float score = vote_score(
        vote_log_score(ta * a[i], tb * b[i], log_a, log_b, args.shares[c]));
    if (grouped) {
      atomicMax(reinterpret_cast<int*>(out + c), __float_as_int(score));
    } else {
      out[c] = score;
    }
  }
}

}  // namespace

void vote_scores(const VoteScoresArgs& args, Stream stream) {
  const auto blocks =
      static_cast<unsigned>((args.rows + kVoteRows - 1) / kVoteRows);
  launch("vote_scores",
         score_rows,
         dim3(blocks, 1, 1),
         dim3(kWarp, kVoteRows, 1),
         stream,
         args);
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

// One warp per row. A lane reads every 32nd value of its row three times, for
// the mean, the variance and the result; the second and third reading come from
// the first-level cache, so the floor is one read and one write. SwiGLU's gate
// is computed anew each time: two exponentials more per value, no memory.

#include "kernels/cuda/cuda_common.cuh"
#include "kernels/layer_norm_args.h"
#include "kernels/layer_norm_math.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

constexpr int kRows = 8;  // of a block

template <typename In>
__device__ float load(const In* x, int64_t i, int64_t width, bool is_gated) {
  return is_gated ? gated(value(x[i]), value(x[width + i])) : value(x[i]);
}

template <typename In, typename Out>
__global__ void norm_rows(LayerNormArgs norm) {
  const int lane = threadIdx.x;
  const int64_t r = static_cast<int64_t>(blockIdx.x) * kRows + threadIdx.y;
  if (r >= norm.rows) return;  // all lanes of a warp together
  const In* x = static_cast<const In*>(norm.x) + r * norm.row;
  Out* out = static_cast<Out*>(norm.out) + r * norm.width;
  const auto n = static_cast<float>(norm.width);

  float sum = 0.0f;
  for (int64_t i = lane; i < norm.width; i += kWarp) {
    sum += load(x, i, norm.width, norm.gated);
  }
  const float mean = warp_sum(sum) / n;
  float squares = 0.0f;
  for (int64_t i = lane; i < norm.width; i += kWarp) {
    const float distance = load(x, i, norm.width, norm.gated) - mean;
    squares += distance * distance;
  }
  const float factor = norm_factor(warp_sum(squares) / n, norm.eps);
  for (int64_t i = lane; i < norm.width; i += kWarp) {
    const float v = load(x, i, norm.width, norm.gated);
    put(normed(v, mean, factor, norm.weight[i], norm.bias[i]), out[i]);
  }
}

template <typename In, typename Out>
void run(const LayerNormArgs& norm, Stream stream) {
  const auto blocks = static_cast<unsigned>((norm.rows + kRows - 1) / kRows);
  launch("layer_norm",
         norm_rows<In, Out>,
         dim3(blocks, 1, 1),
         dim3(kWarp, kRows, 1),
         stream,
         norm);
}

template <typename In>
void run_from(const LayerNormArgs& norm, Stream stream) {
  switch (norm.out_type) {
    case ElementType::kBFloat16:
      return run<In, BFloat16>(norm, stream);
    case ElementType::kFloat16:
      return run<In, Float16>(norm, stream);
    default:
      return run<In, float>(norm, stream);
  }
}

}  // namespace

void layer_norm(const LayerNormArgs& norm, Stream stream) {
  switch (norm.in_type) {
    case ElementType::kBFloat16:
      return run_from<BFloat16>(norm, stream);
    case ElementType::kFloat16:
      return run_from<Float16>(norm, stream);
    default:
      return run_from<float>(norm, stream);
  }
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

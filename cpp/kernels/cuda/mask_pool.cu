// weights[k, i] = mask_k(i) / (sum of mask_k + 1e-12): one warp per mask, two
// reads and a write.

#include "kernels/cuda/cuda_common.cuh"
#include "kernels/mask_pool_args.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

/// T is float, or bool as a byte.
template <typename T>
__global__ void weigh(MaskPoolArgs args) {
  const int64_t k = blockIdx.x;
  const T* mask = static_cast<const T*>(args.masks) + k * args.pixels;
  float area = 0.0f;
  for (int64_t i = threadIdx.x; i < args.pixels; i += kWarp)
    area += static_cast<float>(mask[i]);
  const auto share =
      static_cast<float>(1.0 / (1e-12 + static_cast<double>(warp_sum(area))));
  for (int64_t i = threadIdx.x; i < args.pixels; i += kWarp) {
    args.weights[k * args.pixels + i] = static_cast<float>(mask[i]) * share;
  }
}

}  // namespace

void mask_pool_weights(const MaskPoolArgs& args, Stream stream) {
  launch("mask_pool_weights",
         args.bytes ? weigh<uint8_t> : weigh<float>,
         dim3(static_cast<unsigned>(args.count), 1, 1),
         dim3(kWarp, 1, 1),
         stream,
         args);
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

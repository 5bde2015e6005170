#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "declip/error.h"
#include "kernels/cuda/twin.h"

// Everything is in the target's namespace: the emulated kernels have launchers
// of their own.
namespace declip::cuda::DECLIP_CUDA_TARGET {

constexpr int kWarp = 32;

inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  const auto code = status == cudaErrorMemoryAllocation
                        ? ErrorCode::kOutOfMemory
                        : ErrorCode::kInternal;
  throw Error(
      code,
      std::string("CUDA, ") + what + ": " + cudaGetErrorString(status) + ".");
}

/// Queues kernel<<<grid, block, 0, stream>>>(arguments...).
template <typename... Parameters, typename... Arguments>
void launch(const char* name,
            void (*kernel)(Parameters...),
            dim3 grid,
            dim3 block,
            Stream stream,
            const Arguments&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...), name);
}

/// One thread per item, item = blockIdx.x * kItemBlock + threadIdx.x: blocks
/// number at most 2^31 - 1 along x.
constexpr int kItemBlock = 256;

inline dim3 blocks_for(int64_t items) {
  return dim3(
      static_cast<unsigned>((items + kItemBlock - 1) / kItemBlock), 1, 1);
}

__device__ inline int64_t item_index() {
  return static_cast<int64_t>(blockIdx.x) * kItemBlock + threadIdx.x;
}

/// Sum over the 32 lanes, in every one of them.
__device__ inline float warp_sum(float x) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    x += __shfl_xor_sync(0xffffffffu, x, offset);
  }
  return x;
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET

#pragma once

// What the CUDA twins take from CUDA's own header of this name, for the
// emulator: kernels become functions that it calls once per thread. Threads of
// a block are fibres of one CPU thread which change places at barriers and
// warp exchanges only. Blocks run one after the other, so that shared memory
// may be static. Atomics need nothing.

#include <cstddef>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)

struct CUstream_st;
using cudaStream_t = CUstream_st*;

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

enum cudaError_t { cudaSuccess = 0, cudaErrorMemoryAllocation = 2 };
inline const char* cudaGetErrorString(cudaError_t) { return "emulated"; }

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
};

extern dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

/// The order in which the threads of a block run between two barriers. Results
/// that depend on it lack a barrier.
extern bool descending;

/// Runs `thread` for every thread of every block. Throws std::runtime_error if
/// threads of a block wait at different barriers.
void run(dim3 grid, dim3 block, const std::function<void()>& thread);

/// Waits for the whole block.
void barrier();
/// Waits for the warp and returns what lane ^ mask gave.
float exchange(float value, int mask);

}  // namespace emulator

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config,
                               void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  emulator::run(
      config->gridDim, config->blockDim, [&] { kernel(arguments...); });
  return cudaSuccess;
}

inline void __syncthreads() { emulator::barrier(); }

inline float __shfl_xor_sync(unsigned, float value, int mask) {
  return emulator::exchange(value, mask);
}

inline int __float_as_int(float value) {
  int bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline int atomicMax(int* target, int value) {
  int before = 0;  // the target may be a float
  std::memcpy(&before, target, sizeof before);
  const int after = before > value ? before : value;
  std::memcpy(target, &after, sizeof after);
  return before;
}

template <typename T>
T atomicAdd(T* target, T value) {
  const T before = *target;
  *target += value;
  return before;
}

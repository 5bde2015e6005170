#pragma once

// Marks the arithmetic that the CPU and the CUDA twin of a kernel share.
#if defined(__CUDACC__)
#define DECLIP_HD __host__ __device__ inline
#else
#define DECLIP_HD inline
#endif

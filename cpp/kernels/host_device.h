#pragma once

// Marks the arithmetic that the CPU and the CUDA twin of a kernel share. Static
// on the CPU: its twins are compiled once per instruction set, and the linker
// must not hand the copy of one to the other.
#if defined(__CUDACC__)
#define DECLIP_HD __host__ __device__ inline
#else
#define DECLIP_HD [[maybe_unused]] static inline
#endif

#pragma once

// CUDA twins live in cuda/NAME.cu, which only the CUDA build compiles: raw CUDA
// without ATen, so that they compile in seconds and on machines that have no
// GPU. The tests compile the same files once more, as plain C++ that a small
// emulator runs (test/cpp/emulator), into the namespace `emulated`.
//
// A NAME_args.h declares both twins with DECLIP_TWINS(name, (parameters),
// (arguments)) inside namespace declip. The CUDA twin takes the stream as its
// last parameter and is defined inside declip::cuda::DECLIP_CUDA_TARGET. In a
// build without CUDA calling it throws Error(kDevice), and this header is the
// only one that knows.

#include "declip/error.h"
#include "kernels/cpu/level.h"

struct CUstream_st;  // what a cudaStream_t points to

#if !defined(DECLIP_CUDA_TARGET)
#define DECLIP_CUDA_TARGET device
#endif

namespace declip::cuda {

using Stream = CUstream_st*;

#if defined(DECLIP_CUDA)
constexpr bool kBuilt = true;
/// The stream that LibTorch's operators use on the current device.
Stream current_stream();
#else
constexpr bool kBuilt = false;
[[noreturn]] inline void refuse() {
  throw Error(
      ErrorCode::kDevice,
      "This build has no CUDA kernels. Build with `npm run build:cuda`, "
      "or use device 'cpu'.");
}
[[noreturn]] inline Stream current_stream() { refuse(); }
#endif

}  // namespace declip::cuda

#define DECLIP_UNPACK(...) __VA_ARGS__

#if defined(DECLIP_CUDA)
#define DECLIP_CUDA_CALL(name, arguments) \
  device::name(DECLIP_UNPACK arguments, stream)
#else
#define DECLIP_CUDA_CALL(name, arguments) \
  [](const auto&...) { refuse(); }(DECLIP_UNPACK arguments, stream)
#endif

#define DECLIP_TWINS(name, parameters, arguments)             \
  namespace cpu {                                             \
  DECLIP_CPU_TWIN(void, name, parameters, arguments)          \
  }                                                           \
  namespace cuda {                                            \
  namespace device {                                          \
  void name(DECLIP_UNPACK parameters, Stream stream);         \
  }                                                           \
  namespace emulated {                                        \
  void name(DECLIP_UNPACK parameters, Stream stream);         \
  }                                                           \
  inline void name(DECLIP_UNPACK parameters, Stream stream) { \
    DECLIP_CUDA_CALL(name, arguments);                        \
  }                                                           \
  }

#include <c10/cuda/CUDAStream.h>

#include "kernels/cuda/twin.h"

namespace declip::cuda {

Stream current_stream() { return c10::cuda::getCurrentCUDAStream().stream(); }

}  // namespace declip::cuda

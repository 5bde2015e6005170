// Compiled with instructions for products in bfloat16 (CMakeLists.txt), which a
// processor with AVX-512 may lack; empty where the compiler has none.

#include "kernels/word_maps_args.h"

#if defined(__AVX512BF16__) && defined(CPU_CAPABILITY_AVX512)

#include "kernels/cpu/word_layers.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {

void word_space_bfloat16(const WordSpaceArgs& args) {
  panels::run_space<BFloat16>(args);
}

void word_class_bfloat16(const WordClassArgs& args) {
  panels::run_class<BFloat16>(args);
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL

#endif

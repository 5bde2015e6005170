#pragma once

// The CPU twins are compiled once per instruction set, from the same files, and
// the best one that the processor has is taken at run time: `base` is AVX2 with
// FMA on x86-64 and what the compiler assumes elsewhere.
//
// A header declares a twin with DECLIP_CPU_TWIN(result, name, (parameters),
// (arguments)) inside namespace declip::cpu; its file defines it inside
// namespace declip::cpu::DECLIP_CPU_LEVEL.

namespace declip::cpu {

enum class Level { kBase, kAvx512 };

/// The best level of this processor, or the one that DECLIP_CPU_LEVEL in the
/// environment names ('base' or 'avx512') where the processor has it.
Level level();
const char* level_name(Level level);

}  // namespace declip::cpu

#if defined(DECLIP_HAS_AVX512)
#define DECLIP_CPU_TWIN(result, name, parameters, arguments)  \
  namespace base {                                            \
  result name parameters;                                     \
  }                                                           \
  namespace avx512 {                                          \
  result name parameters;                                     \
  }                                                           \
  inline result name parameters {                             \
    return level() == Level::kAvx512 ? avx512::name arguments \
                                     : base::name arguments;  \
  }
#else
#define DECLIP_CPU_TWIN(result, name, parameters, arguments) \
  namespace base {                                           \
  result name parameters;                                    \
  }                                                          \
  inline result name parameters { return base::name arguments; }
#endif

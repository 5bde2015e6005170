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

/// The best level that this processor has and this build holds, or the one that
/// DECLIP_CPU_LEVEL in the environment names ('base' or 'avx512').
/// Throws Error(kDevice) where that one is missing here.
Level level();
const char* level_name(Level level);
/// Whether this build holds every level that it can: one made for the machine
/// that built it alone may not start on another.
bool has_every_level();
/// Whether any level of this build runs on this processor.
bool runs_here();

}  // namespace declip::cpu

// On x86-64 a build may lack a level (DECLIP_LEVELS in CMakeLists.txt), so the
// core refers to twins weakly and asks level() before it calls one.
#if defined(__x86_64__) && defined(__GNUC__)
#define DECLIP_WEAK __attribute__((weak))
#else
#define DECLIP_WEAK
#endif

#if defined(__x86_64__) || defined(_M_X64)
#define DECLIP_CPU_TWIN(result, name, parameters, arguments)  \
  namespace base {                                            \
  DECLIP_WEAK result name parameters;                         \
  }                                                           \
  namespace avx512 {                                          \
  DECLIP_WEAK result name parameters;                         \
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

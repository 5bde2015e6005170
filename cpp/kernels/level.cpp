#include "kernels/cpu/level.h"

#include <cstdlib>
#include <cstring>

namespace declip::cpu {
namespace {

bool has_avx512() {
#if defined(DECLIP_HAS_AVX512)
  return __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

}  // namespace

Level level() {
  static const Level chosen = [] {
    const char* wanted = std::getenv("DECLIP_CPU_LEVEL");
    const bool base = wanted != nullptr && std::strcmp(wanted, "base") == 0;
    return has_avx512() && !base ? Level::kAvx512 : Level::kBase;
  }();
  return chosen;
}

const char* level_name(Level level) {
#if defined(__x86_64__) || defined(_M_X64)
  return level == Level::kAvx512 ? "AVX-512" : "AVX2";
#else
  return level == Level::kAvx512 ? "AVX-512" : "portable";
#endif
}

}  // namespace declip::cpu

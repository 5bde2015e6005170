#include <cstdlib>
#include <string>

#include "declip/error.h"
#include "kernels/cpu/built.h"

namespace declip::cpu {
namespace {

#if defined(__x86_64__) && defined(__GNUC__)
// The address of a weak function that nobody defined is null.
bool is_built(Level level) {
  return level == Level::kAvx512 ? &avx512::built != nullptr
                                 : &base::built != nullptr;
}

bool processor_has(Level level) {
  if (level == Level::kBase) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  }
  return __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
#else
bool is_built(Level level) { return level == Level::kBase; }
bool processor_has(Level level) { return level == Level::kBase; }
#endif

bool usable(Level level) { return is_built(level) && processor_has(level); }

Level choose() {
  const char* variable = std::getenv("DECLIP_CPU_LEVEL");
  const std::string wanted = variable == nullptr ? "" : variable;
  if (wanted == "base" && !usable(Level::kBase)) {
    throw Error(ErrorCode::kDevice,
                "DECLIP_CPU_LEVEL asks for the kernels 'base', which this "
                "build lacks: it was made for one processor. Build it with "
                "every level: `npm run build -- --levels all`.");
  }
  if (wanted == "base") return Level::kBase;
  return usable(Level::kAvx512) ? Level::kAvx512 : Level::kBase;
}

}  // namespace

bool has_every_level() {
#if defined(__x86_64__) && defined(__GNUC__)
  return is_built(Level::kBase) && is_built(Level::kAvx512);
#else
  return true;
#endif
}

bool runs_here() { return usable(Level::kAvx512) || usable(Level::kBase); }

Level level() {
  static const Level chosen = choose();
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

// MKL's vector functions know their processor before threads share them.

#include "declip/vector_math.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <cstring>

#include "tap.h"

#if defined(__linux__) && defined(__x86_64__)
#include <dlfcn.h>
#endif

namespace {

/// Where this MKL keeps what it found out: its function begins by reading it
/// (mov eax, [rip + offset]). Null where LibTorch has another MKL or none.
int* kept_processor() {
#if defined(__linux__) && defined(__x86_64__)
  auto* code = static_cast<unsigned char*>(
      dlsym(RTLD_DEFAULT, "mkl_vml_serv_cpu_detect"));
  if (code == nullptr || code[0] != 0x8b || code[1] != 0x05) return nullptr;
  int32_t offset = 0;
  std::memcpy(&offset, code + 2, sizeof(offset));
  return reinterpret_cast<int*>(code + 6 + offset);
#else
  return nullptr;
#endif
}

constexpr int kUnknown = -1;

}  // namespace

TEST(one_call_tells_mkl_its_processor) {
  int* const kept = kept_processor();
  if (kept == nullptr) {
    tap::skip("LibTorch has another MKL here, or none");
    return;
  }
  *kept = kUnknown;
  declip::settle_vector_math();
  CHECK(*kept != kUnknown);
}

TEST(cosines_are_exact_to_rounding) {
  // From 2048 elements on LibTorch's threads share them.
  const auto x = at::linspace(-16, 16, int64_t{1} << 16);
  const auto wanted = x.to(at::kDouble).cos();
  CHECK_CLOSE((x.cos() - wanted).abs().max().item<double>(), 0, 6e-8);
}

#include "kernels/word_maps.h"

#include <ATen/ATen.h>

namespace declip {

at::Tensor pack_panels(const at::Tensor& weight, at::ScalarType dtype) {
  const int64_t out = weight.size(0), in = weight.size(1);
  const int64_t unit = dtype == at::kBFloat16 ? 2 : 1;
  const int64_t count = (out + kWordPanel - 1) / kWordPanel;
  const int64_t depth = (in + kWordVector - 1) / kWordVector * kWordVector;
  const auto rows =
      at::constant_pad_nd(weight.to(at::kFloat).to(dtype),
                          {0, depth - in, 0, count * kWordPanel - out});
  return rows.view({count, kWordPanel, depth / unit, unit})
      .permute({0, 2, 1, 3})
      .contiguous();
}

bool has_bfloat16_words() {
#if defined(__x86_64__) && defined(__GNUC__)
  // The address of a weak function that nobody defined is null.
  return cpu::level() == cpu::Level::kAvx512 &&
         &cpu::avx512::word_space_bfloat16 != nullptr &&
         __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

void word_space(const WordSpaceArgs& args, bool bfloat16) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (bfloat16) return cpu::avx512::word_space_bfloat16(args);
#else
  static_cast<void>(bfloat16);
#endif
  cpu::word_space(args);
}

void word_class(const WordClassArgs& args, bool bfloat16) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (bfloat16) return cpu::avx512::word_class_bfloat16(args);
#else
  static_cast<void>(bfloat16);
#endif
  cpu::word_class(args);
}

}  // namespace declip

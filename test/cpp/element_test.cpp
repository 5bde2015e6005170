#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "kernels/element_math.h"
#include "tap.h"

using declip::BFloat16;
using declip::Float16;

TEST(every_half_precision_number_reads_as_libtorch_has_it) {
  int64_t wrong = 0;
  for (uint32_t i = 0; i <= 0xffffu; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    const float got = declip::value(Float16{bits});
    const float wanted = c10::Half(bits, c10::Half::from_bits());
    if (std::isnan(wanted)
            ? !std::isnan(got)
            : std::bit_cast<uint32_t>(got) != std::bit_cast<uint32_t>(wanted)) {
      ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST(numbers_round_as_libtorch_rounds_them) {
  std::mt19937 engine(7);
  int64_t wrong = 0;
  const auto compare = [&](float x) {
    Float16 half;
    BFloat16 brain;
    declip::put(x, half);
    declip::put(x, brain);
    wrong += half.bits != c10::Half(x).x;
    wrong += brain.bits != c10::BFloat16(x).x;
  };
  for (int i = 0; i < 400000; ++i) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(engine()));
    if (!std::isnan(x)) compare(x);
    // around the limits of half precision, with ties
    compare(std::ldexp(static_cast<float>(engine() % 8192), -26));
    compare(std::ldexp(static_cast<float>(engine() % 8192), 4));
  }
  for (const float x : {0.0f, -0.0f, 65504.0f, 65519.0f, 65520.0f, 1e30f})
    compare(x);
  compare(std::numeric_limits<float>::infinity());
  CHECK(wrong == 0);
  Float16 half;
  declip::put(std::numeric_limits<float>::quiet_NaN(), half);
  CHECK(std::isnan(declip::value(half)));
}

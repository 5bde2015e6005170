#include "checkpoint/fingerprint.h"

#include <ATen/ATen.h>

#include "random_planes.h"
#include "tap.h"

using declip::fingerprint;

TEST(fingerprints_tell_names_shapes_values_and_settings_apart) {
  Random random;
  const auto a = random.tensor({40, 50}), b = random.tensor({3});
  const auto print = fingerprint({{"a", a}, {"b", b}}, "quick_gelu");
  CHECK(print.size() == 16);
  CHECK(print == fingerprint({{"a", a.clone()}, {"b", b}}, "quick_gelu"));
  CHECK(print ==
        fingerprint({{"a", a.t().contiguous().t()}, {"b", b}}, "quick_gelu"));
  CHECK(print != fingerprint({{"a", a}, {"b", b}}, "gelu"));
  CHECK(print != fingerprint({{"a", a}, {"c", b}}, "quick_gelu"));
  CHECK(print !=
        fingerprint({{"a", a.view({50, 40})}, {"b", b}}, "quick_gelu"));
  CHECK(print != fingerprint({{"a", a.to(at::kHalf)}, {"b", b}}, "quick_gelu"));
  auto last = a.clone();
  last[39][49] += 1;
  CHECK(print != fingerprint({{"a", last}, {"b", b}}, "quick_gelu"));
  CHECK(print != fingerprint({{"a", a}, {"b", b + 1}}, "quick_gelu"));
  CHECK(fingerprint({{"empty", at::empty({0})}}, "").size() == 16);
}

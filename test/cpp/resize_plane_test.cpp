#include "kernels/resize_plane.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "random_planes.h"
#include "tap.h"

namespace {

at::Tensor resized(const at::Tensor& in, int64_t height, int64_t width) {
  auto out = at::empty({1, height, width}, at::kFloat);
  declip::resize_plane(in[0], out[0]);
  return out;
}

}  // namespace

TEST(matches_libtorch_and_plain_loops_on_random_sizes) {
  Random random;
  for (int i = 0; i < 40; ++i) {
    const auto in =
        random.tensor({1, random.integer(1, 50), random.integer(1, 50)});
    const int64_t height = random.integer(1, 90), width = random.integer(1, 90);
    const auto out = resized(in, height, width);
    CHECK_CLOSE(
        distance(out, declip::reference::resize(to_planes(in), height, width)),
        0,
        2e-5);
    const auto torch =
        at::upsample_bilinear2d(in.unsqueeze(0), {height, width}, false);
    CHECK_CLOSE(distance(out, torch[0]), 0, 5e-7);
  }
}

TEST(the_same_size_copies) {
  Random random;
  const auto in = random.tensor({1, 7, 5});
  CHECK(resized(in, 7, 5).equal(in));
}

TEST(planes_that_do_not_fit_are_refused) {
  const auto plane = at::zeros({2, 2});
  CHECK_THROWS_CODE(declip::resize_plane(plane, at::zeros({0, 1})),
                    declip::ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::resize_plane(plane.t(), plane),
                    declip::ErrorCode::kInternal);
  CHECK_THROWS_CODE(declip::resize_plane(plane, at::zeros({2, 2}, at::kDouble)),
                    declip::ErrorCode::kInternal);
}

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

TEST(rows_are_those_of_the_whole_plane) {
  Random random;
  for (int i = 0; i < 40; ++i) {
    const auto in =
        random.tensor({1, random.integer(1, 50), random.integer(1, 50)})[0];
    const declip::Size to{random.integer(1, 90), random.integer(1, 90)};
    const auto whole = at::empty({to.height, to.width}, at::kFloat);
    declip::resize_plane(in, whole);
    const declip::PlaneResize resize({in.size(0), in.size(1)}, to);
    const int64_t begin = random.integer(0, to.height - 1);
    const declip::RowRange rows{begin, random.integer(begin + 1, to.height)};
    const auto [first, last] = resize.source(rows);
    const auto out = at::empty({rows.size(), to.width}, at::kFloat);
    resize.rows(in.narrow(0, first, last - first).clone(), first, rows, out);
    CHECK(out.equal(whole.narrow(0, begin, rows.size())));
    if (last - first > 1) {
      CHECK_THROWS_CODE(
          resize.rows(in.narrow(0, first, 1).contiguous(), first, rows, out),
          declip::ErrorCode::kInternal);
    }
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

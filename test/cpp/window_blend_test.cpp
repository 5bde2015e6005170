#include "kernels/window_blend.h"

#include <ATen/ATen.h>

#include "image/windows.h"
#include "random_planes.h"
#include "tap.h"

using declip::WindowPlan;

namespace {

/// low [nW, Q, h, w] -> [Q, H, W]
at::Tensor blended(const at::Tensor& low, const WindowPlan& plan) {
  const declip::WindowBlend blend(plan, low.size(2), low.size(3), low.device());
  auto out = at::empty({low.size(1), plan.height, plan.width}, at::kFloat);
  for (int64_t q = 0; q < low.size(1); ++q) {
    blend.plane(low.select(1, q), out[q]);
  }
  return out;
}

WindowPlan random_plan(Random& random) {
  const int64_t side = random.integer(4, 40);
  return declip::plan_windows(random.integer(1, 90),
                              random.integer(1, 90),
                              side,
                              random.integer(1, side),
                              random.coin() ? 1 : random.integer(2, 9));
}

}  // namespace

TEST(matches_plain_loops_on_random_plans) {
  Random random;
  for (int i = 0; i < 25; ++i) {
    const WindowPlan plan = random_plan(random);
    const auto low = random.tensor(
        {plan.size(), 2, random.integer(1, 7), random.integer(1, 7)});
    std::vector<declip::reference::Planes> maps;
    for (int64_t n = 0; n < plan.size(); ++n) maps.push_back(to_planes(low[n]));
    CHECK_CLOSE(distance(blended(low, plan),
                         declip::reference::blend_windows(maps, plan)),
                0,
                5e-6);
  }
}

TEST(rows_are_those_of_the_whole_image) {
  Random random;
  for (int i = 0; i < 25; ++i) {
    const WindowPlan plan = random_plan(random);
    const auto low = random.tensor({plan.size(), 1, 3, 4});
    const declip::WindowBlend blend(plan, 3, 4, low.device());
    const int64_t begin = random.integer(0, plan.height - 1);
    const declip::RowRange rows{begin, random.integer(begin + 1, plan.height)};
    const auto out = at::empty({rows.size(), plan.width}, at::kFloat);
    blend.rows(low.select(1, 0), rows, out);
    CHECK(out.equal(blended(low, plan)[0].narrow(0, begin, rows.size())));
  }
}

TEST(blending_a_constant_gives_the_constant) {
  Random random;
  for (int i = 0; i < 25; ++i) {
    const WindowPlan plan = random_plan(random);
    const auto low = at::full({plan.size(), 1, 3, 5}, 0.625f);
    CHECK_CLOSE(distance(blended(low, plan),
                         at::full({1, plan.height, plan.width}, 0.625)),
                0,
                1e-6);
  }
}

TEST(windows_without_overlap_keep_their_own_values) {
  const WindowPlan plan = declip::plan_windows(8, 8, 4, 4);
  const auto low = at::tensor({1.0f, 2.0f, 3.0f, 4.0f}).view({4, 1, 1, 1});
  const auto out = blended(low, plan)[0];
  CHECK(out[0][0].item<float>() == 1 && out[0][7].item<float>() == 2);
  CHECK(out[7][0].item<float>() == 3 && out[7][7].item<float>() == 4);
}

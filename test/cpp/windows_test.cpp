#include "image/windows.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "random_planes.h"
#include "tap.h"

using declip::ErrorCode;
using declip::Padding;
using declip::Window;
using declip::WindowPlan;

TEST(windows_cover_every_pixel_and_stay_inside) {
  Random random;
  for (int i = 0; i < 60; ++i) {
    const int64_t height = random.integer(1, 120),
                  width = random.integer(1, 120);
    const int64_t side = random.integer(1, 60);
    const WindowPlan plan =
        declip::plan_windows(height, width, side, random.integer(1, side));
    const auto count = at::zeros({height, width}, at::kInt);
    for (int64_t n = 0; n < plan.size(); ++n) {
      const Window w = plan[n];
      CHECK(w.y1 >= 0 && w.x1 >= 0 && w.y2 <= height && w.x2 <= width);
      CHECK(w.y2 - w.y1 == std::min(side, height) &&
            w.x2 - w.x1 == std::min(side, width));
      count.narrow(0, w.y1, w.y2 - w.y1).narrow(1, w.x1, w.x2 - w.x1).add_(1);
    }
    CHECK(count.min().item<int>() >= 1);
  }
}

TEST(matches_the_published_loop) {
  Random random;
  for (int i = 0; i < 60; ++i) {
    const int64_t height = random.integer(1, 120),
                  width = random.integer(1, 120);
    const int64_t crop = random.integer(1, 60),
                  stride = random.integer(1, crop);
    const WindowPlan plan = declip::plan_windows(height, width, crop, stride);
    const int64_t rows =
        std::max<int64_t>(height - crop + stride - 1, 0) / stride + 1;
    const int64_t columns =
        std::max<int64_t>(width - crop + stride - 1, 0) / stride + 1;
    CHECK(plan.size() == rows * columns);
    int64_t n = 0;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        const int64_t y2 = std::min(r * stride + crop, height);
        const int64_t x2 = std::min(c * stride + crop, width);
        const Window expected{std::max<int64_t>(y2 - crop, 0),
                              std::max<int64_t>(x2 - crop, 0),
                              y2,
                              x2};
        CHECK(plan[n++] == expected);
      }
    }
  }
}

TEST(itaclip_looks_at_45_windows_of_a_336_x_448_picture) {
  CHECK(declip::plan_windows(336, 448, 224, 28).size() == 45);
}

TEST(no_window_side_means_the_whole_image) {
  const WindowPlan plan = declip::plan_windows(30, 50, 0, 0);
  CHECK(plan.whole && plan.size() == 1);
  CHECK((plan[0] == Window{0, 0, 30, 50}));
}

TEST(padding_puts_the_odd_pixel_right_and_bottom) {
  const WindowPlan plan = declip::plan_windows(29, 50, 0, 0, 16);
  CHECK((plan.padding == Padding{1, 7, 2, 7}));
  CHECK(plan.padded_height() == 32 && plan.padded_width() == 64);
  CHECK((declip::plan_windows(448, 448, 224, 112, 16).padding == Padding{}));
}

TEST(cut_windows_are_the_image_with_zeros_around) {
  Random random;
  const auto image = random.tensor({1, 3, 20, 33});
  const WindowPlan plan = declip::plan_windows(20, 33, 10, 7, 8);
  const auto batch = declip::cut_windows(image, plan, 1, plan.size());
  CHECK(batch.sizes() == at::IntArrayRef({plan.size() - 1, 3, 16, 16}));
  for (int64_t n = 1; n < plan.size(); ++n) {
    const Window w = plan[n];
    const auto padded = batch[n - 1];
    const auto inner = padded.narrow(1, 3, 10).narrow(2, 3, 10);
    CHECK(inner.equal(image[0].narrow(1, w.y1, 10).narrow(2, w.x1, 10)));
    CHECK_CLOSE(padded.abs().sum().item<double>(),
                inner.abs().sum().item<double>(),
                1e-4);
  }
}

TEST(windows_that_leave_gaps_are_refused) {
  CHECK_THROWS_CODE(declip::plan_windows(10, 10, 4, 5), ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::plan_windows(10, 10, 4, 0), ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::plan_windows(10, 10, -1, 1),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::plan_windows(0, 10, 4, 2), ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::plan_windows(10, 10, 4, 2, 0),
                    ErrorCode::kInvalidArg);
}

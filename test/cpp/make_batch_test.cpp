// A batch of pictures against what it is made of, one by one.

#include "declip/make_batch.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <atomic>
#include <memory>
#include <vector>

#include "declip/resize.h"
#include "tap.h"

using declip::BatchPicture;
using declip::BatchSpec;
using declip::ErrorCode;
using declip::Size;

namespace {

at::Tensor pixels_of(int64_t height, int64_t width, int64_t seed) {
  const auto i = at::arange(height * width * 3, at::kLong);
  return (i * i * 7 + i * (37 + seed) + seed)
      .remainder(256)
      .to(at::kByte)
      .view({height, width, 3});
}

std::vector<BatchPicture> batch_pictures() {
  return {{pixels_of(40, 60, 1), {{1, 2, 30, 35}, {0, 0, 20, 20}}, 5},
          {pixels_of(64, 64, 2), {}, 6},
          {pixels_of(90, 30, 3), {{3, 3, 4, 4}}, 7}};
}

BatchSpec batch_spec() {
  BatchSpec out;
  out.student.side = 64;
  out.student.pixels = {{0.4, 0.5, 0.6}, {0.2, 0.25, 0.3}};
  out.regions.emplace();
  out.regions->rows = 4;
  out.regions->crop_side = 32;
  out.regions->grid.most_boxes = 4;
  out.regions->proposal.most_boxes = 4;
  return out;
}

Size picture_size(const BatchPicture& picture) {
  return {picture.pixels.size(0), picture.pixels.size(1)};
}

at::Tensor fitted_square(const BatchPicture& picture,
                         const declip::SquareInput& input) {
  return declip::preprocess(picture.pixels.const_data_ptr<uint8_t>(),
                            picture_size(picture),
                            declip::Fit::kPad,
                            input.side,
                            input.pixels.mean,
                            input.pixels.std);
}

}  // namespace

TEST(a_batch_is_its_pictures_one_by_one) {
  for (const bool from_proposals : {false, true}) {
    auto how = batch_spec();
    how.regions->from_proposals = from_proposals;
    how.teacher = {56, declip::kImageNetPixels};
    const auto all = batch_pictures();
    const auto made = declip::make_batch(all, how, {});
    CHECK((made.batch.images.sizes() == at::IntArrayRef{3, 3, 64, 64}));
    CHECK((made.teacher_images.sizes() == at::IntArrayRef{3, 3, 56, 56}));
    CHECK((made.batch.boxes.sizes() == at::IntArrayRef{3, 4, 5}));
    int64_t crop = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      const auto n = static_cast<int64_t>(i);
      const auto size = picture_size(all[i]);
      CHECK(at::equal(made.batch.images[n],
                      fitted_square(all[i], how.student)[0]));
      CHECK(at::equal(made.teacher_images[n],
                      fitted_square(all[i], *how.teacher)[0]));
      const auto regions =
          from_proposals
              ? declip::proposal_regions(
                    size, all[i].proposals, how.regions->proposal, all[i].seed)
              : declip::grid_regions(size, how.regions->grid, all[i].seed);
      CHECK(at::equal(made.batch.boxes[n],
                      declip::region_rows(size, regions, 4)));
      for (const auto& region : regions) {
        CHECK(at::equal(
            made.batch.crops[crop++],
            declip::crop_region(all[i].pixels.const_data_ptr<uint8_t>(),
                                size,
                                region.crop,
                                32,
                                how.student.pixels.mean,
                                how.student.pixels.std)[0]));
      }
    }
    CHECK(made.batch.crops.size(0) == crop);
  }
}

TEST(gray_and_alpha_are_as_everywhere) {
  auto how = batch_spec();
  how.regions.reset();
  const auto rgb = pixels_of(40, 60, 1);
  const auto images = [&](const at::Tensor& pixels) {
    return declip::make_batch({{pixels, {}, 0}}, how, {}).batch.images;
  };
  const auto gray = rgb.slice(2, 0, 1);
  CHECK(at::equal(images(gray), images(gray.expand({-1, -1, 3}))));
  CHECK(at::equal(images(at::cat({rgb, gray}, 2)), images(rgb)));
}

TEST(a_batch_without_regions_is_pictures_alone) {
  auto how = batch_spec();
  how.regions.reset();
  how.resized_side = 96;
  const auto made = declip::make_batch(batch_pictures(), how, {});
  CHECK(!made.batch.boxes.defined() && !made.batch.crops.defined());
  CHECK(!made.teacher_images.defined());
  how.resized_side = 0;
  const auto plain = declip::make_batch(batch_pictures(), how, {}).batch.images;
  CHECK(at::equal(made.batch.images,
                  at::upsample_bilinear2d(plain, {96, 96}, false)));
}

TEST(what_is_made_outside_inference_mode_may_take_part_in_a_graph) {
  auto how = batch_spec();
  how.teacher = how.student;
  for (const bool single : {false, true}) {
    auto all = batch_pictures();
    if (single) all.resize(1);
    const auto made = declip::make_batch(all, how, {});
    for (const auto& tensor : {made.batch.images,
                               made.batch.boxes,
                               made.batch.crops,
                               made.teacher_images}) {
      CHECK(!tensor.is_inference());
    }
  }
}

TEST(batches_that_cannot_be_are_refused) {
  const auto refused = [](auto change) {
    auto all = batch_pictures();
    auto how = batch_spec();
    change(all, how);
    CHECK_THROWS_CODE(declip::make_batch(all, how, {}), ErrorCode::kInvalidArg);
  };
  refused([](auto& all, auto&) { all.clear(); });
  refused([](auto& all, auto&) { all[1].pixels = at::Tensor(); });
  refused(
      [](auto& all, auto&) { all[1].pixels = all[1].pixels.to(at::kFloat); });
  refused([](auto& all, auto&) {
    all[1].pixels = all[1].pixels.permute({2, 0, 1});
  });
  refused([](auto&, auto& how) { how.student.side = 0; });
  refused([](auto&, auto& how) { how.resized_side = -1; });
  refused([](auto&, auto& how) { how.regions->grid.most_boxes = 9; });

  declip::Call cancelled;
  cancelled.cancelled = std::make_shared<std::atomic<bool>>(true);
  CHECK_THROWS_CODE(
      declip::make_batch(batch_pictures(), batch_spec(), cancelled),
      ErrorCode::kAborted);
}

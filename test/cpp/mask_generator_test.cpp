#include "segment/mask_generator.h"

#include <ATen/ATen.h>

#include <atomic>
#include <cmath>

#include "declip/error.h"
#include "declip/rle.h"
#include "random_planes.h"
#include "tap.h"

using declip::ErrorCode;
using declip::Size;

namespace {

constexpr int64_t kSide = 64, kLow = 16;

/// Discs around the point, of radii that depend on the picture and the place.
class Discs final : public declip::EncodedCrop {
 public:
  Discs(Size crop, double brightness) : crop_(crop), brightness_(brightness) {
    const double k =
        kSide / static_cast<double>(std::max(crop.height, crop.width));
    input_ = {static_cast<int64_t>(crop.height * k + 0.5),
              static_cast<int64_t>(crop.width * k + 0.5)};
  }
  declip::PointLogits masks_of(const at::Tensor& points,
                               bool multimask,
                               const declip::Call&) const override {
    const int64_t count = points.size(0), masks = multimask ? 3 : 1;
    const auto low = at::empty({count, masks, kLow, kLow});
    const auto iou = at::empty({count, masks});
    const auto given = points.accessor<double, 2>();
    for (int64_t b = 0; b < count; ++b) {
      const double px = given[b][0] * input_.width / crop_.width * kLow / kSide;
      const double py =
          given[b][1] * input_.height / crop_.height * kLow / kSide;
      for (int64_t m = 0; m < masks; ++m) {
        const double radius =
            0.8 + m * 1.3 + std::fmod(brightness_ + px * 3 + py, 1.7);
        iou[b][m] = 0.7 + 0.1 * std::sin(7 * px + 3 * py + m);
        for (int64_t y = 0; y < kLow; ++y) {
          for (int64_t x = 0; x < kLow; ++x) {
            low[b][m][y][x] =
                3 * (radius - std::hypot(x + 0.5 - px, y + 0.5 - py)) +
                ((x * 5 + y * 3 + m) % 4 == 0 ? 0.9 : 0);
          }
        }
      }
    }
    return {low, iou};
  }
  int64_t side() const override { return kSide; }
  Size input() const override { return input_; }

 private:
  Size crop_, input_;
  double brightness_;
};

class DiscModel final : public declip::PointPrompted {
 public:
  std::unique_ptr<declip::EncodedCrop> encode(
      const at::Tensor& pixels, const declip::Call&) const override {
    return std::make_unique<Discs>(
        Size{pixels.size(0), pixels.size(1)},
        pixels.to(at::kDouble).mean().item<double>());
  }
};

struct PlainMask {
  at::Tensor mask;  // bool [H, W]
  std::array<int64_t, 4> box;
  float iou, stability;
  std::array<double, 2> point;
  declip::PictureCrop crop;
};

std::array<int64_t, 4> plain_box(const at::Tensor& mask) {
  const auto at = mask.nonzero();
  if (at.size(0) == 0) return {0, 0, 0, 0};
  const auto low = std::get<0>(at.min(0)), high = std::get<0>(at.max(0));
  return {low[1].item<int64_t>(),
          low[0].item<int64_t>(),
          high[1].item<int64_t>(),
          high[0].item<int64_t>()};
}

std::vector<PlainMask> plain_doubles(std::vector<PlainMask> masks,
                                     const std::vector<double>& scores,
                                     double threshold) {
  std::vector<size_t> order(masks.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return scores[a] > scores[b];
  });
  std::vector<PlainMask> kept;
  for (const auto i : order) {
    bool stays = true;
    const auto& [x0, y0, x1, y1] = masks[i].box;
    for (const auto& other : kept) {
      const auto& [u0, v0, u1, v1] = other.box;
      const auto both = static_cast<float>(
          std::max<int64_t>(0, std::min(x1, u1) - std::max(x0, u0)) *
          std::max<int64_t>(0, std::min(y1, v1) - std::max(y0, v0)));
      const auto all =
          static_cast<float>((x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0)) -
          both;
      if (static_cast<double>(both / all) > threshold) stays = false;
    }
    if (stays) kept.push_back(masks[i]);
  }
  return kept;
}

/// The generator as it is written: everything in full size, one step after the
/// other.
std::vector<PlainMask> plain_generate(const DiscModel& model,
                                      const at::Tensor& pixels,
                                      const declip::MaskGeneratorOptions& o) {
  const Size picture{pixels.size(0), pixels.size(1)};
  const auto crops = declip::crop_boxes(picture, o.crop_layers, o.crop_overlap);
  std::vector<PlainMask> all;
  std::vector<double> scores;
  for (const auto& crop : crops) {
    const auto [h, w] = crop.size();
    const auto encoded = model.encode(
        pixels.slice(0, crop.y0, crop.y1).slice(1, crop.x0, crop.x1), {});
    const auto points =
        at::tensor(o.points[static_cast<size_t>(crop.layer)], at::kDouble)
            .view({-1, 2}) *
        at::tensor({static_cast<double>(w), static_cast<double>(h)},
                   at::kDouble);
    const auto logits = encoded->masks_of(points, o.multimask, {});
    std::vector<PlainMask> found;
    for (int64_t b = 0; b < points.size(0); ++b) {
      for (int64_t m = 0; m < logits.iou.size(1); ++m) {
        const float iou = logits.iou[b][m].item<float>();
        if (o.predicted_iou > 0 && !(iou > static_cast<float>(o.predicted_iou)))
          continue;
        const auto square = at::upsample_bilinear2d(
            logits.low_res[b][m].view({1, 1, kLow, kLow}),
            {kSide, kSide},
            false);
        const auto cut = square.slice(2, 0, encoded->input().height)
                             .slice(3, 0, encoded->input().width);
        const auto z = at::upsample_bilinear2d(cut, {h, w}, false)[0][0];
        const float stability =
            static_cast<float>(z.gt(o.stability_offset).sum().item<int64_t>()) /
            static_cast<float>(z.gt(-o.stability_offset).sum().item<int64_t>());
        if (o.stability > 0 && !(stability >= static_cast<float>(o.stability)))
          continue;
        auto box = plain_box(z.gt(0));
        const std::array<int64_t, 4> shifted{box[0] + crop.x0,
                                             box[1] + crop.y0,
                                             box[2] + crop.x0,
                                             box[3] + crop.y0};
        const std::array<int64_t, 4> own{crop.x0, crop.y0, crop.x1, crop.y1};
        const std::array<int64_t, 4> whole{0, 0, picture.width, picture.height};
        bool near = false;
        for (size_t k = 0; k < 4; ++k) {
          near = near || (std::abs(shifted[k] - own[k]) <= 20 &&
                          std::abs(shifted[k] - whole[k]) > 20);
        }
        if (near) continue;
        const auto mask = at::zeros({picture.height, picture.width}, at::kBool);
        mask.slice(0, crop.y0, crop.y1)
            .slice(1, crop.x0, crop.x1)
            .copy_(z.gt(0));
        found.push_back(
            {mask,
             shifted,
             iou,
             stability,
             {points[b][0].item<double>() + static_cast<double>(crop.x0),
              points[b][1].item<double>() + static_cast<double>(crop.y0)},
             crop});
      }
    }
    std::vector<double> sure;
    for (const auto& mask : found) sure.push_back(mask.iou);
    for (auto& mask : plain_doubles(found, sure, o.box_nms)) {
      all.push_back(mask);
      scores.push_back(1.0f / static_cast<float>(h * w));
    }
  }
  return crops.size() > 1 ? plain_doubles(all, scores, o.crop_nms) : all;
}

declip::MaskGeneratorOptions options_of(int64_t layers,
                                        const std::vector<int64_t>& per_side) {
  declip::MaskGeneratorOptions o;
  o.crop_layers = layers;
  for (const auto n : per_side) o.points.push_back(declip::point_grid(n));
  return o;
}

}  // namespace

TEST(generated_masks_are_those_of_whole_planes) {
  Random random;
  const DiscModel model;
  for (int round = 0; round < 6; ++round) {
    const tap::Case in("round " + std::to_string(round));
    const auto pixels = at::randint(
        256, {random.integer(60, 120), random.integer(60, 150), 3}, at::kByte);
    auto o = options_of(round % 3, {5, 3, 2});
    o.points.resize(static_cast<size_t>(o.crop_layers) + 1);
    o.points_per_batch = random.integer(1, 30);
    o.predicted_iou = round == 0 ? 0 : 0.62;
    o.stability = round == 1 ? 0 : 0.2;
    o.stability_offset = random.real(0.5, 1.5);
    o.box_nms = random.real(0.3, 0.8);
    o.crop_nms = random.real(0.3, 0.8);
    o.multimask = round != 2;
    const auto wanted = plain_generate(model, pixels, o);
    const auto got = declip::generate_masks(model, pixels, o, {});
    CHECK(got.masks.size() == wanted.size());
    CHECK(!wanted.empty());
    for (size_t i = 0; i < std::min(wanted.size(), got.masks.size()); ++i) {
      const auto& mask = got.masks[i];
      const auto& plain = wanted[i];
      const auto rle = declip::decompress_rle(mask.counts, got.size);
      CHECK(declip::decode_rle(rle).ne(plain.mask).sum().item<int64_t>() <= 2);
      CHECK(mask.area == declip::rle_area(rle));
      CHECK(mask.predicted_iou == plain.iou);
      CHECK_CLOSE(mask.stability, plain.stability, 2e-3);
      CHECK(mask.point == plain.point);
      const auto& [x0, y0, x1, y1] = plain.box;
      CHECK(std::abs(mask.box[0] - x0) <= 1 && std::abs(mask.box[1] - y0) <= 1);
      CHECK(std::abs(mask.box[2] - (x1 - x0)) <= 1 &&
            std::abs(mask.box[3] - (y1 - y0)) <= 1);
      CHECK(mask.crop ==
            (std::array<int64_t, 4>{plain.crop.x0,
                                    plain.crop.y0,
                                    plain.crop.x1 - plain.crop.x0,
                                    plain.crop.y1 - plain.crop.y0}));
    }
  }
}

TEST(the_number_of_points_in_a_batch_changes_nothing) {
  const DiscModel model;
  const auto pixels = at::randint(256, {90, 70, 3}, at::kByte);
  auto o = options_of(1, {6, 3});
  o.predicted_iou = 0.65;
  o.stability = 0;
  const auto all = declip::generate_masks(model, pixels, o, {});
  o.points_per_batch = 1;
  const auto single = declip::generate_masks(model, pixels, o, {});
  CHECK(all.masks.size() == single.masks.size() && !all.masks.empty());
  for (size_t i = 0; i < all.masks.size(); ++i) {
    CHECK(all.masks[i].counts == single.masks[i].counts);
  }
}

TEST(no_mask_at_all_is_an_empty_list) {
  const DiscModel model;
  const auto pixels = at::randint(256, {90, 70, 3}, at::kByte);
  auto o = options_of(1, {4, 2});
  o.predicted_iou = 5;
  o.min_region_area = 10;
  CHECK(declip::generate_masks(model, pixels, o, {}).masks.empty());
}

TEST(a_threshold_is_float32_as_what_it_is_compared_with) {
  // A predicted overlap of 0.7f is not above 0.7, which is 0.7f in float32,
  // though it is below 0.7 in double precision.
  class Exact final : public declip::PointPrompted {
    class Crop final : public declip::EncodedCrop {
      declip::PointLogits masks_of(const at::Tensor& points,
                                   bool,
                                   const declip::Call&) const override {
        return {at::full({points.size(0), 1, 4, 4}, 5.0f),
                at::full({points.size(0), 1}, 0.8f)};
      }
      int64_t side() const override { return 16; }
      Size input() const override { return {16, 16}; }
    };
    std::unique_ptr<declip::EncodedCrop> encode(
        const at::Tensor&, const declip::Call&) const override {
      return std::make_unique<Crop>();
    }
  };
  const auto pixels = at::zeros({8, 8, 3}, at::kByte);
  auto o = options_of(0, {1});
  o.stability = 1;        // reached by 1
  o.predicted_iou = 0.8;  // 0.8f is 0.800000012
  CHECK(declip::generate_masks(Exact(), pixels, o, {}).masks.empty());
  o.predicted_iou = 0.79;
  CHECK(declip::generate_masks(Exact(), pixels, o, {}).masks.size() == 1);
}

TEST(generating_tells_points_and_stops_between_batches) {
  const DiscModel model;
  const auto pixels = at::randint(256, {80, 80, 3}, at::kByte);
  auto o = options_of(1, {4, 2});
  o.points_per_batch = 5;
  declip::Call call;
  std::vector<int64_t> told;
  int64_t total = 0;
  call.progress = [&](declip::Step, int64_t done, int64_t all) {
    told.push_back(done);
    total = all;
  };
  declip::generate_masks(model, pixels, o, call);
  CHECK(total == 16 + 4 * 4);
  CHECK(told.front() == 0 && told.back() == total);
  CHECK(std::is_sorted(told.begin(), told.end()));
  call.cancelled = std::make_shared<std::atomic<bool>>(false);
  call.progress = [&](declip::Step, int64_t done, int64_t) {
    if (done > 0) call.cancelled->store(true);
  };
  CHECK_THROWS_CODE(declip::generate_masks(model, pixels, o, call),
                    ErrorCode::kAborted);
}

TEST(options_of_automatic_masks_that_do_not_fit_are_refused) {
  const DiscModel model;
  const auto pixels = at::zeros({8, 8, 3}, at::kByte);
  auto o = options_of(1, {4});  // no points of the layer of crops
  CHECK_THROWS_CODE(declip::generate_masks(model, pixels, o, {}),
                    ErrorCode::kInvalidArg);
  o = options_of(0, {4});
  o.points_per_batch = 0;
  CHECK_THROWS_CODE(declip::generate_masks(model, pixels, o, {}),
                    ErrorCode::kInvalidArg);
}

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

#include "declip/error.h"
#include "detect/boxes.h"
#include "golden.h"
#include "random_planes.h"
#include "tap.h"

namespace {

std::vector<double> strides_of(const declip::Json& list) {
  std::vector<double> out;
  for (const auto& stride : *list.array()) out.push_back(*stride.number());
  return out;
}

at::Tensor pictures_of(const at::Tensor& boxes) {
  return at::zeros({boxes.size(0)}, at::kLong);
}

at::Tensor channels_last(const at::Tensor& map) {
  return map.contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace

TEST(roi_align_over_levels_is_the_authors) {
  const Golden golden("fvit");
  for (const std::string id : {"roi-align-16", "roi-align-14"}) {
    const auto& one = golden.at(id);
    const auto& inputs = *one.find("inputs");
    const auto strides = strides_of(*one.find("options")->find("strides"));
    std::vector<at::Tensor> maps;
    for (size_t level = 0; level < strides.size(); ++level) {
      maps.push_back(channels_last(
          golden.tensor(*inputs.find("map." + std::to_string(level)))));
    }
    const auto boxes = golden.tensor(*inputs.find("boxes"));
    golden.compare(
        id,
        "levels",
        declip::roi_levels(boxes, static_cast<int64_t>(maps.size())));
    for (const int64_t out : {7, 14}) {
      golden.compare(id,
                     "size" + std::to_string(out),
                     declip::pool_boxes_of_levels(
                         maps, strides, boxes, pictures_of(boxes), out));
    }
    golden.compare(id,
                   "pooled",
                   declip::pool_boxes_of_levels(
                       {maps[2]}, {strides[2]}, boxes, pictures_of(boxes), 1));
  }
}

TEST(roi_align_counts_samples_in_float32) {
  const Golden golden("fvit");
  const std::string id = "roi-align-rounding";
  const auto& one = golden.at(id);
  const auto boxes = golden.tensor(*one.find("inputs")->find("boxes"));
  golden.compare(
      id,
      "pooled",
      declip::pool_boxes_of_levels(
          {channels_last(golden.tensor(*one.find("inputs")->find("map")))},
          {*one.find("options")->find("stride")->number()},
          boxes,
          pictures_of(boxes),
          1));
}

TEST(boxes_and_masks_are_pooled_as_the_authors_do) {
  const Golden golden("fvit");
  for (const std::string id :
       {"coco.box-head", "lvis.box-head", "lvis.masks"}) {
    const auto& one = golden.at(id);
    const auto& inputs = *one.find("inputs");
    const auto strides = strides_of(*one.find("config")->find("roi_strides"));
    std::vector<at::Tensor> maps;
    for (size_t level = 0; level < strides.size(); ++level) {
      maps.push_back(channels_last(
          golden.tensor(*inputs.find("F" + std::to_string(level)))));
    }
    const auto* proposals = inputs.find("proposals");
    auto boxes =
        golden.tensor(proposals ? *proposals : *inputs.find("detections"))
            .slice(1, 0, 4);
    if (!proposals) {
      std::vector<double> scale;
      for (const auto& factor :
           *one.find("options")->find("scale_factor")->array())
        scale.push_back(*factor.number());
      boxes = boxes * at::tensor(scale, at::kFloat);
    }
    golden.compare(
        id,
        "roi_levels",
        declip::roi_levels(boxes, static_cast<int64_t>(maps.size())));
    const auto wanted =
        golden.tensor(*one.find("outputs")->find("roi_features"));
    const auto first = boxes.slice(0, 0, wanted.size(0));
    golden.compare(
        id,
        "roi_features",
        declip::pool_boxes_of_levels(
            maps, strides, first, pictures_of(first), wanted.size(2)));
  }
}

TEST(levels_of_boxes_follow_their_area) {
  const auto boxes = at::zeros({7, 4});
  const std::vector<double> sides{0, 56, 111.9, 112.1, 225, 449, 5000};
  for (size_t i = 0; i < sides.size(); ++i) {
    boxes[static_cast<int64_t>(i)][2] = sides[i];
    boxes[static_cast<int64_t>(i)][3] = sides[i];
  }
  CHECK(at::equal(declip::roi_levels(boxes, 4),
                  at::tensor({0, 0, 0, 1, 2, 3, 3}, at::kLong)));
  CHECK(at::equal(declip::roi_levels(boxes, 2),
                  at::tensor({0, 0, 0, 1, 1, 1, 1}, at::kLong)));
}

TEST(pooled_boxes_are_those_of_plain_loops) {
  Random random;
  for (int round = 0; round < 12; ++round) {
    const int64_t channels = random.integer(1, 70);
    const int64_t out = random.integer(1, 7);
    const std::vector<double> strides{3.5, 7, 14};
    std::vector<at::Tensor> maps;
    for (size_t level = 0; level < strides.size(); ++level) {
      const auto map = random.tensor(
          {2, channels, random.integer(1, 20), random.integer(1, 20)});
      maps.push_back(random.coin() ? channels_last(map) : map);
    }
    const int64_t n = random.integer(0, 8);
    const auto boxes = at::zeros({n, 4});
    const auto pictures = at::zeros({n}, at::kLong);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t axis = 0; axis < 2; ++axis) {
        boxes[i][axis] = random.real(-60, 120);  // some leave the maps
        boxes[i][axis + 2] =
            boxes[i][axis] + (random.coin() ? random.real(0, 250) : 0);
      }
      pictures[i] = random.integer(0, 1);
    }
    const auto levels = declip::roi_levels(boxes, 3);
    const auto got =
        declip::pool_boxes_of_levels(maps, strides, boxes, pictures, out);
    CHECK(got.sizes() == at::IntArrayRef({n, channels, out, out}));
    CHECK(got.is_contiguous(at::MemoryFormat::ChannelsLast));
    for (int64_t i = 0; i < n; ++i) {
      const auto level = levels[i].item<int64_t>();
      const auto& map = maps[static_cast<size_t>(level)];
      std::vector<double> box;
      for (int64_t k = 0; k < 4; ++k) {
        box.push_back(boxes[i][k].item<float>() *
                      static_cast<float>(1 / strides[size_t(level)]));
      }
      const auto expected = declip::reference::roi_align(
          to_planes(map[pictures[i].item<int64_t>()]), box, out, out);
      CHECK_CLOSE(distance(got[i], expected), 0, 2e-5);
    }
  }
}

TEST(gradients_of_pooled_boxes_are_the_transposed_products) {
  // <pool(m), g> is linear in m: its gradient times any m' is <pool(m'), g>.
  Random random;
  for (int round = 0; round < 6; ++round) {
    const std::vector<double> strides{4, 8};
    const int64_t channels = random.integer(1, 40);
    std::vector<at::Tensor> maps, others;
    for (int level = 0; level < 2; ++level) {
      const int64_t h = random.integer(2, 24), w = random.integer(2, 24);
      maps.push_back(
          channels_last(random.tensor({2, channels, h, w})).requires_grad_());
      others.push_back(channels_last(random.tensor({2, channels, h, w})));
    }
    const int64_t n = 9;
    const auto low = 60 * random.tensor({n, 2});
    const auto boxes =
        at::cat({low, low + 150 * random.tensor({n, 2}).abs()}, 1);
    const auto pictures = at::arange(n).remainder(2);
    const int64_t out = random.integer(1, 7);
    const auto pooled =
        declip::pool_boxes_of_levels(maps, strides, boxes, pictures, out);
    const auto g = random.tensor(pooled.sizes());
    pooled.backward(g);
    double left = 0;
    for (size_t level = 0; level < 2; ++level) {
      const auto& grad = maps[level].grad();
      if (grad.defined())
        left += (grad * others[level]).sum(at::kDouble).item<double>();
    }
    const double right =
        (declip::pool_boxes_of_levels(others, strides, boxes, pictures, out) *
         g)
            .sum(at::kDouble)
            .item<double>();
    CHECK_CLOSE(left, right, 1e-4 * (1 + std::abs(right)));
  }
}

TEST(bfloat16_maps_give_bfloat16_of_float32_sums) {
  Random random;
  const auto low = 50 * random.tensor({12, 2}).abs();
  const auto boxes = at::cat({low, low + 90 * random.tensor({12, 2}).abs()}, 1);
  const auto pictures = pictures_of(boxes);
  for (const int64_t channels : {1, 16, 37, 260}) {
    const auto map =
        channels_last(random.tensor({1, channels, 30, 41})).to(at::kBFloat16);
    const auto got =
        declip::pool_boxes_of_levels({map}, {4}, boxes, pictures, 3);
    CHECK(got.scalar_type() == at::kBFloat16);
    const auto wanted = declip::pool_boxes_of_levels(
        {map.to(at::kFloat)}, {4}, boxes, pictures, 3);
    CHECK_CLOSE(distance(got, wanted), 0, 1.0 / 256);
    CHECK(
        wanted.to(at::kBFloat16).eq(got).to(at::kDouble).mean().item<double>() >
        0.99);
  }
}

TEST(gradients_are_the_same_bits_with_any_number_of_threads) {
  Random random;
  const int before = at::get_num_threads();
  const auto low = 50 * random.tensor({30, 2}).abs();
  const auto boxes = at::cat({low, low + 90 * random.tensor({30, 2}).abs()}, 1);
  const auto map = channels_last(random.tensor({1, 70, 30, 41}));
  const auto upstream = random.tensor({30, 70, 7, 7});
  std::vector<at::Tensor> gradients;
  for (const int threads : {1, 2, 5}) {
    at::set_num_threads(threads);
    const auto given = map.clone().requires_grad_();
    declip::pool_boxes_of_levels({given}, {4}, boxes, pictures_of(boxes), 7)
        .backward(upstream);
    gradients.push_back(given.grad());
  }
  at::set_num_threads(before);
  CHECK(at::equal(gradients[0], gradients[1]));
  CHECK(at::equal(gradients[0], gradients[2]));
}

TEST(boxes_that_cannot_be_pooled_are_refused) {
  const auto map = at::ones({1, 2, 4, 4});
  const auto box = [](float x0, float x1) {
    return at::tensor({x0, 0.f, x1, 2.f}).view({1, 4});
  };
  const auto picture = at::zeros({1}, at::kLong);
  for (const auto& bad :
       {box(0, std::nanf("")), box(2, 1), box(0, 1e9f), box(-INFINITY, 1)}) {
    CHECK_THROWS_CODE(declip::pool_boxes_of_levels({map}, {4}, bad, picture, 2),
                      declip::ErrorCode::kInvalidArg);
  }
  CHECK_THROWS_CODE(
      declip::pool_boxes_of_levels({map}, {4}, box(0, 1), picture + 1, 2),
      declip::ErrorCode::kInvalidArg);
}

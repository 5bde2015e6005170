#include "kernels/pamr.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "files/safetensors.h"
#include "random_planes.h"
#include "tap.h"

using declip::Call;
using declip::ErrorCode;

namespace {

struct Case {
  const char* id;
  int64_t iterations;
  std::vector<int64_t> dilations;
  double tolerance;  // atol of the manifest
};

}  // namespace

TEST(matches_the_published_module) {
  const std::string folder = DECLIP_FIXTURES "/itaclip-pipeline/";
  const auto inputs =
      declip::read_safetensors(folder + "inputs.safetensors").tensors;
  const auto outputs =
      declip::read_safetensors(folder + "outputs.safetensors").tensors;
  for (const Case& c : {Case{"pamr-37x45-it1-d1", 1, {1}, 2e-5},
                        Case{"pamr-37x45-it3-d1_2_4", 3, {1, 2, 4}, 4.2e-5},
                        Case{"pamr-60x52-it10-d8_16", 10, {8, 16}, 1.6e-4},
                        Case{"pamr-40x44-it2-d2_5", 2, {2, 5}, 6.2e-5}}) {
    const std::string id = c.id;
    const auto refined = declip::pamr(inputs.at(id + "-image").clone(),
                                      inputs.at(id + "-mask")[0].clone(),
                                      c.iterations,
                                      c.dilations,
                                      Call());
    CHECK_CLOSE(distance(refined, outputs.at(id + ".mask")[0]), 0, c.tolerance);
  }
}

TEST(matches_plain_loops_on_random_sizes) {
  Random random;
  for (int i = 0; i < 12; ++i) {
    const int64_t height = random.integer(1, 40), width = random.integer(1, 40);
    const int64_t count = random.integer(1, 9);
    std::vector<int64_t> dilations{random.integer(1, 9)};
    if (random.coin()) dilations.push_back(random.integer(1, 60));
    const auto image = random.tensor({1, 3, height, width});
    const auto masks = random.tensor({count, height, width});
    const int64_t iterations = random.integer(0, 4);
    const auto expected = declip::reference::pamr(
        to_planes(image[0]), to_planes(masks), iterations, dilations);
    CHECK_CLOSE(
        distance(declip::pamr(image, masks, iterations, dilations, Call()),
                 expected),
        0,
        2e-6);
  }
}

TEST(weights_of_a_pixel_sum_to_one) {
  Random random;
  const auto affinity =
      declip::pamr_affinity(random.tensor({1, 3, 20, 31}), {1, 5});
  CHECK_CLOSE(distance(affinity.weights.sum(1), at::ones({20, 31})), 0, 1e-6);
}

TEST(a_flat_image_averages_the_neighbours_evenly) {
  const auto affinity =
      declip::pamr_affinity(at::full({1, 3, 9, 9}, 0.3f), {2});
  CHECK_CLOSE(distance(affinity.weights, at::full({9, 8, 9}, 0.125)), 0, 1e-7);
}

TEST(constant_planes_stay_constant) {
  Random random;
  const auto image = random.tensor({1, 3, 33, 17});
  const auto refined =
      declip::pamr(image, at::full({5, 33, 17}, -0.7f), 20, {8, 16}, Call());
  CHECK_CLOSE(distance(refined, at::full({5, 33, 17}, -0.7)), 0, 1e-5);
}

TEST(the_number_of_planes_at_once_does_not_matter) {
  Random random;
  const auto image = random.tensor({1, 3, 21, 26});
  const auto masks = random.tensor({6, 21, 26});
  const auto together = declip::pamr(image, masks, 3, {1, 4}, Call());
  for (int64_t q = 0; q < 6; ++q) {
    const auto alone =
        declip::pamr(image, masks.narrow(0, q, 1), 3, {1, 4}, Call());
    CHECK_CLOSE(distance(alone[0], together[q]), 0, 1e-6);
  }
}

TEST(leaves_its_input_alone) {
  Random random;
  const auto masks = random.tensor({2, 8, 8});
  const auto before = masks.clone();
  declip::pamr(random.tensor({1, 3, 8, 8}), masks, 2, {1}, Call());
  CHECK(masks.equal(before));
}

TEST(refuses_what_it_cannot_do) {
  const auto image = at::zeros({1, 3, 8, 8});
  CHECK_THROWS_CODE(declip::pamr_affinity(image, {}), ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::pamr_affinity(image, {0}), ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::pamr_affinity(image, {1025}),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::pamr_affinity(image, {1, 2, 3, 4, 5, 6, 7, 8, 9}),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::pamr_affinity(at::zeros({2, 3, 8, 8}), {1}),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::pamr(image, at::zeros({1, 8, 8}), -1, {1}, Call()),
                    ErrorCode::kInvalidArg);
}

TEST(stops_when_cancelled) {
  Call call;
  call.cancelled = std::make_shared<std::atomic<bool>>(true);
  CHECK_THROWS_CODE(
      declip::pamr(at::zeros({1, 3, 8, 8}), at::zeros({1, 8, 8}), 1, {1}, call),
      ErrorCode::kAborted);
}

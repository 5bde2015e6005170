#include "declip/label_counts.h"

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "declip/error.h"
#include "files/safetensors.h"
#include "tap.h"

using declip::LabelPair;

namespace {

std::vector<LabelPair> counts(const at::Tensor& prediction,
                              const at::Tensor& truth,
                              int64_t classes,
                              int64_t ignore = 255) {
  return declip::count_labels(prediction, truth, classes, ignore, {});
}

/// Pixel by pixel.
std::vector<LabelPair> plain_counts(const at::Tensor& prediction,
                                    const at::Tensor& truth,
                                    int64_t classes,
                                    int64_t ignore) {
  const auto p = prediction.to(at::kLong).flatten();
  const auto t = truth.to(at::kLong).flatten();
  std::map<std::pair<int64_t, int64_t>, int64_t> sums;
  for (int64_t i = 0; i < p.numel(); ++i) {
    const auto a = p[i].item<int64_t>(), b = t[i].item<int64_t>();
    if (b == ignore) continue;
    ++sums[{b < classes ? b : classes, a < classes ? a : classes}];
  }
  std::vector<LabelPair> pairs;
  for (const auto& [key, pixels] : sums) {
    pairs.push_back({key.first, key.second, pixels});
  }
  return pairs;
}

bool equals(const std::vector<int64_t>& actual, const at::Tensor& expected) {
  return at::tensor(actual, at::kLong).equal(expected.to(at::kLong));
}

}  // namespace

TEST(label_counts_match_mmsegmentation) {
  const std::string folder = DECLIP_FIXTURES "/metrics/";
  const auto inputs =
      declip::read_safetensors(folder + "inputs.safetensors").tensors;
  const auto outputs =
      declip::read_safetensors(folder + "outputs.safetensors").tensors;
  for (const auto& [id, classes] :
       {std::pair<std::string, int64_t>{"small", 5},
        std::pair<std::string, int64_t>{"absent-classes", 21},
        std::pair<std::string, int64_t>{"all-ignored-image", 4}}) {
    int64_t images = 0;
    for (; inputs.count(id + "-pred-" + std::to_string(images)) > 0; ++images) {
      const auto number = std::to_string(images);
      std::vector<int64_t> both(classes), predicted(classes), label(classes);
      for (const auto& [t, p, pixels] :
           counts(inputs.at(id + "-pred-" + number),
                  inputs.at(id + "-label-" + number),
                  classes)) {
        if (p < classes) predicted[p] += pixels;
        if (t < classes) label[t] += pixels;
        if (t == p && t < classes) both[t] += pixels;
      }
      const auto expected = [&](const char* name) {
        return outputs.at(id + "." + number + "." + name);
      };
      CHECK(equals(both, expected("intersect")));
      CHECK(equals(predicted, expected("pred")));
      CHECK(equals(label, expected("label")));
    }
    CHECK(images >= 2);
  }
}

TEST(label_counts_of_one_and_two_bytes) {
  for (const int64_t classes : {1, 3, 200, 256, 300, 60000}) {
    for (const auto& [p, t] : {std::pair{at::kByte, at::kByte},
                               std::pair{at::kByte, at::kUInt16},
                               std::pair{at::kUInt16, at::kByte},
                               std::pair{at::kUInt16, at::kUInt16}}) {
      const auto random = [](at::ScalarType type) {
        const auto values = at::randint(5, {13, 70}, at::kLong);
        return (values * (type == at::kByte ? 63 : 16000)).to(type);
      };
      const auto prediction = random(p), truth = random(t);
      const int64_t ignore = t == at::kByte ? 252 : 64000;
      CHECK(counts(prediction, truth, classes, ignore) ==
            plain_counts(prediction, truth, classes, ignore));
    }
  }
}

TEST(label_counts_of_ignored_and_foreign_labels) {
  const auto map = [](std::vector<int64_t> values) {
    return at::tensor(values, at::kLong).to(at::kByte).reshape({2, 2});
  };
  CHECK((counts(map({0, 1, 1, 7}), map({255, 9, 1, 0}), 2) ==
         std::vector<LabelPair>{{0, 2, 1}, {1, 1, 1}, {2, 1, 1}}));
  CHECK(counts(map({0, 1, 1, 7}), map({255, 255, 255, 255}), 2).empty());
}

TEST(label_counts_demand_maps_of_one_size) {
  const auto map = [](int64_t height, int64_t width) {
    return at::zeros({height, width}, at::kByte);
  };
  CHECK_THROWS_CODE(counts(map(2, 2), map(2, 3), 2),
                    declip::ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(counts(map(2, 2), map(2, 2), 0),
                    declip::ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(counts(at::zeros({2, 2}), map(2, 2), 2),
                    declip::ErrorCode::kInvalidArg);
}

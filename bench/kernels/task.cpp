#include "task.h"

#include <ATen/CPUGeneratorImpl.h>

#include <fstream>
#include <stdexcept>

namespace declip::bench {

const Json& Request::member(const std::string& key) const {
  const Json* found = json_.find(key);
  if (found == nullptr)
    throw std::runtime_error("the task has no '" + key + "'");
  return *found;
}

int64_t Request::integer(const std::string& key) const {
  return member(key).integer().value();
}

double Request::number(const std::string& key) const {
  return member(key).number().value();
}

std::string Request::text(const std::string& key) const {
  const auto* text = member(key).string();
  if (text == nullptr) throw std::runtime_error("'" + key + "' is no text");
  return *text;
}

std::vector<int64_t> Request::integers(const std::string& key) const {
  std::vector<int64_t> values;
  const auto* array = member(key).array();
  if (array == nullptr) throw std::runtime_error("'" + key + "' is no list");
  for (const auto& value : *array) values.push_back(value.integer().value());
  return values;
}

at::Tensor Request::file(const std::string& key,
                         const std::string& shape_key) const {
  auto tensor = at::empty(integers(shape_key), at::kFloat);
  std::ifstream in(text(key), std::ios::binary);
  in.read(static_cast<char*>(tensor.mutable_data_ptr()),
          static_cast<std::streamsize>(tensor.nbytes()));
  if (!in) throw std::runtime_error("cannot read " + text(key));
  return tensor;
}

at::ScalarType Request::dtype() const {
  const auto name = has("dtype") ? text("dtype") : "float32";
  if (name == "float16") return at::kHalf;
  return name == "bfloat16" ? at::kBFloat16 : at::kFloat;
}

at::Device& device() {
  static at::Device chosen(at::kCPU);
  return chosen;
}

at::Tensor random(at::IntArrayRef shape) {
  return at::randn(shape, at::detail::createCPUGenerator(/*seed=*/1))
      .to(device());
}

at::Tensor unwritten(at::IntArrayRef shape) {
  return at::empty(shape, at::TensorOptions(at::kFloat).device(device()));
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kCPU, at::kDouble) - b.to(at::kCPU, at::kDouble))
      .abs()
      .max()
      .item<double>();
}

double relative_difference(const at::Tensor& got, const at::Tensor& expected) {
  return largest_difference(got, expected) /
         expected.to(at::kDouble).abs().max().item<double>();
}

}  // namespace declip::bench

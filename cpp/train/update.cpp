#include "train/update.h"

namespace declip {

std::vector<at::Tensor> values_of(const std::vector<Parameter>& parameters) {
  std::vector<at::Tensor> out;
  for (const auto& parameter : parameters) out.push_back(parameter.value);
  return out;
}

void drop_gradients(const std::vector<Parameter>& parameters) {
  for (const auto& parameter : parameters) {
    parameter.value.mutable_grad().reset();
  }
}

}  // namespace declip

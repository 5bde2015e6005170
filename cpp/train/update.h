#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "declip/train.h"
#include "train/adamw.h"

namespace declip {

std::vector<at::Tensor> values_of(const std::vector<Parameter>& parameters);
void drop_gradients(const std::vector<Parameter>& parameters);

/// The parameters have no gradients when it ends, however that comes.
struct DroppedGradients {
  const std::vector<Parameter>& parameters;
  ~DroppedGradients() { drop_gradients(parameters); }
};

/// What `accumulate` says of a step, whose gradients are left in the parameters
/// by it and come out by name.
template <class Accumulate>
TrainStep gradients_of(const std::vector<Parameter>& parameters,
                       std::map<std::string, at::Tensor>& out,
                       const Accumulate& accumulate) {
  const DroppedGradients after{parameters};
  const TrainStep result = accumulate();
  for (const auto& parameter : parameters) {
    const auto& gradient = parameter.value.grad();
    if (gradient.defined()) out.insert_or_assign(parameter.name, gradient);
  }
  return result;
}

/// The same, and the update that those gradients make; nothing has changed if
/// `accumulate` throws. `clip_norm` as TrainOptions has it.
template <class Accumulate>
TrainStep update(const std::vector<Parameter>& parameters,
                 AdamW& optimizer,
                 double clip_norm,
                 const Accumulate& accumulate) {
  const DroppedGradients after{parameters};
  const TrainStep result = accumulate();
  if (clip_norm > 0) {
    clip_gradients(parameters, result.gradient_norm, clip_norm);
  }
  optimizer.step(result.learning_rate);
  return result;
}

}  // namespace declip

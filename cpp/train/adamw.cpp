#include "train/adamw.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <array>
#include <set>
#include <utility>

#include "declip/error.h"
#include "files/finite.h"

namespace declip {
namespace {

std::vector<at::Tensor> gradients_of(const std::vector<Parameter>& parameters) {
  std::vector<at::Tensor> gradients;
  for (const auto& parameter : parameters) {
    const auto& gradient = parameter.value.grad();
    if (gradient.defined()) gradients.push_back(gradient);
  }
  return gradients;
}

}  // namespace

at::Tensor gradient_norm(const std::vector<Parameter>& parameters) {
  const c10::NoGradGuard guard;
  const auto gradients = gradients_of(parameters);
  if (gradients.empty()) return at::zeros({}, at::kFloat);
  return at::stack(at::_foreach_norm(gradients, 2)).norm();
}

void clip_gradients(const std::vector<Parameter>& parameters,
                    double norm,
                    double limit) {
  const c10::NoGradGuard guard;
  const double factor = limit / (norm + 1e-6);
  if (factor >= 1) return;
  const auto gradients = gradients_of(parameters);
  at::_foreach_mul_(gradients, factor);
}

AdamW::AdamW(std::vector<Parameter> parameters, const Options& options)
    : parameters_(std::move(parameters)), options_(options) {}

void AdamW::step(double learning_rate) {
  const c10::NoGradGuard guard;
  std::set<std::pair<bool, double>> groups;
  for (const auto& parameter : parameters_) {
    groups.emplace(parameter.decays, parameter.rate);
  }
  for (const auto& group : groups) {
    const auto [decays, rate] = group;
    std::vector<at::Tensor> values, gradients, averages, squares, steps;
    for (const auto& parameter : parameters_) {
      const auto& gradient = parameter.value.grad();
      if (std::pair(parameter.decays, parameter.rate) != group ||
          !gradient.defined()) {
        continue;
      }
      auto& moments = moments_[parameter.name];
      if (!moments.steps.defined()) {
        moments = {at::zeros_like(parameter.value),
                   at::zeros_like(parameter.value),
                   at::zeros({}, parameter.value.options())};
      }
      values.push_back(parameter.value);
      gradients.push_back(gradient);
      averages.push_back(moments.average);
      squares.push_back(moments.square);
      steps.push_back(moments.steps);
    }
    if (values.empty()) continue;
    at::_foreach_add_(steps, 1);
    at::_fused_adamw_(values,
                      gradients,
                      averages,
                      squares,
                      /*max_exp_avg_sqs=*/{},
                      steps,
                      learning_rate * rate,
                      options_.beta1,
                      options_.beta2,
                      decays ? options_.weight_decay : 0.0,
                      options_.epsilon,
                      /*amsgrad=*/false,
                      /*maximize=*/false);
  }
}

std::map<std::string, at::Tensor> AdamW::state() const {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, moments] : moments_) {
    tensors.emplace("exp_avg." + name, moments.average);
    tensors.emplace("exp_avg_sq." + name, moments.square);
    tensors.emplace("steps." + name, moments.steps);
  }
  return tensors;
}

void AdamW::check_state(const std::map<std::string, at::Tensor>& tensors,
                        const std::string& path) const {
  for (const auto& parameter : parameters_) {
    const std::array<std::pair<std::string, at::IntArrayRef>, 3> parts{
        {{"exp_avg." + parameter.name, parameter.value.sizes()},
         {"exp_avg_sq." + parameter.name, parameter.value.sizes()},
         {"steps." + parameter.name, {}}}};
    const bool any = tensors.contains(parts[0].first);
    for (const auto& [name, sizes] : parts) {
      const auto it = tensors.find(name);
      if ((it != tensors.end()) == any &&
          (!any || (it->second.sizes() == sizes &&
                    it->second.scalar_type() == at::kFloat))) {
        continue;
      }
      throw Error(ErrorCode::kWeights,
                  path + ": optimiser state '" + name +
                      "' is missing or does not fit its parameter.");
    }
    for (const auto& [name, sizes] : parts) {
      if (!any || all_finite(tensors.at(name))) continue;
      throw Error(ErrorCode::kWeights,
                  path + ": optimiser state '" + name +
                      "' holds NaN or infinite numbers: training diverged, or "
                      "the file is damaged. Go on from an earlier state.");
    }
  }
}

void AdamW::restore(const std::map<std::string, at::Tensor>& tensors) {
  std::map<std::string, Moments> moments;
  for (const auto& parameter : parameters_) {
    const auto it = tensors.find("exp_avg." + parameter.name);
    if (it == tensors.end()) continue;
    const auto owned = [&](const at::Tensor& tensor) {
      return tensor.to(parameter.value.device()).clone();
    };
    moments[parameter.name] = {
        owned(it->second),
        owned(tensors.at("exp_avg_sq." + parameter.name)),
        owned(tensors.at("steps." + parameter.name))};
  }
  moments_ = std::move(moments);
}

}  // namespace declip

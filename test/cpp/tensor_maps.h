#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <string>

/// Tensors by name, as checkpoints, gradients and states have them.
namespace tensor_maps {

using Tensors = std::map<std::string, at::Tensor>;

inline Tensors copy(const Tensors& tensors) {
  Tensors out;
  for (const auto& [name, tensor] : tensors) out.emplace(name, tensor.clone());
  return out;
}

/// The same names with equal tensors.
inline bool same(const Tensors& a, const Tensors& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a) {
    if (!b.contains(name) || !at::equal(tensor, b.at(name))) return false;
  }
  return true;
}

/// |a - b| / |b| over all elements, in float64.
inline double apart(const Tensors& a, const Tensors& b) {
  double difference = 0, whole = 0;
  for (const auto& [name, tensor] : a) {
    const auto other = b.at(name).to(at::kDouble);
    difference += (tensor - other).square().sum().item<double>();
    whole += other.square().sum().item<double>();
  }
  return std::sqrt(difference / whole);
}

}  // namespace tensor_maps

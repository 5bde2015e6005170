#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <random>

#include "reference.h"
#include "tap.h"

/// Random sizes and pictures, the same on every run.
struct Random {
  std::mt19937 engine{20240613};

  int64_t integer(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine);
  }
  double real(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(engine);
  }
  bool coin() { return integer(0, 1) == 1; }

  /// float32 [shape], uniform in -1..1.
  at::Tensor tensor(at::IntArrayRef shape) {
    auto out = at::empty(shape, at::kFloat);
    float* data = out.mutable_data_ptr<float>();
    for (int64_t i = 0; i < out.numel(); ++i)
      data[i] = static_cast<float>(real(-1, 1));
    return out;
  }
};

/// float32 [n, h, w] as the plain-loop references take it.
inline declip::reference::Planes to_planes(const at::Tensor& tensor) {
  declip::reference::Planes out(tensor.size(0), tensor.size(1), tensor.size(2));
  const auto in = tensor.to(at::kDouble).contiguous();
  std::copy_n(in.const_data_ptr<double>(), in.numel(), out.data.begin());
  return out;
}

/// Largest absolute difference.
inline double distance(const at::Tensor& actual,
                       const declip::reference::Planes& expected) {
  const auto wanted =
      at::from_blob(const_cast<double*>(expected.data.data()),
                    {expected.count, expected.height, expected.width},
                    at::kDouble);
  return (actual.to(at::kDouble).view_as(wanted) - wanted)
      .abs()
      .max()
      .item<double>();
}

inline double distance(const at::Tensor& actual, const at::Tensor& expected) {
  return (actual.to(at::kDouble) - expected.to(at::kDouble))
      .abs()
      .max()
      .item<double>();
}

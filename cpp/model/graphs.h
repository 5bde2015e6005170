#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>

namespace declip {

/// Passes of fixed shape as CUDA graphs: recorded once, then started with one
/// call instead of hundreds of kernel launches, which is what small batches
/// wait for.
class Graphs {
 public:
  virtual ~Graphs() = default;

  /// work(input), whose kernels depend on `key` and the input's shape alone. It
  /// must neither wait for the device nor read host memory. The first call with
  /// a key computes as usual, the second records.
  virtual at::Tensor run(
      const std::string& key,
      const at::Tensor& input,
      const std::function<at::Tensor(const at::Tensor&)>& work) = 0;
};

/// Only in the CUDA build (model/cuda/graphs.cpp).
std::unique_ptr<Graphs> make_graphs();

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>

namespace declip {

/// A flat float64 tensor of every rank, [ranks, n], in the order of ranks.
using GatherNumbers = std::function<at::Tensor(const at::Tensor&)>;

/// Batch norms that learn (Ioffe and Szegedy, arXiv:1502.03167): what they
/// normalise by is of the batch, over all ranks where there are several, as
/// PyTorch's SyncBatchNorm has it. Running statistics move in copies, in the
/// order of the calls, so that a step that fails changes nothing.
class BatchNorms {
 public:
  /// tensors  weights, biases and running statistics by name
  /// momentum share of the batch in the running statistics
  /// gather   empty: one rank
  BatchNorms(const std::map<std::string, at::Tensor>& tensors,
             double momentum,
             GatherNumbers gather = {});

  /// x float32 [N, C, h, w] by NAME.weight and NAME.bias. N may be 0. The
  /// variance that runs is the unbiased one; of a single value there is none,
  /// and the running variance stays.
  at::Tensor operator()(const std::string& name, const at::Tensor& x);

  /// Running statistics as all calls so far have made them.
  const std::map<std::string, at::Tensor>& running() const { return running_; }

 private:
  at::Tensor over_ranks(const std::string& name, const at::Tensor& x);

  const std::map<std::string, at::Tensor>& tensors_;
  double momentum_;
  GatherNumbers gather_;
  std::map<std::string, at::Tensor> running_;
};

/// Of every batch norm.
inline constexpr double kBatchNormEpsilon = 1e-5;

/// Whether a tensor of a detector is one of a norm's running statistics.
bool is_running(const std::string& name);

}  // namespace declip

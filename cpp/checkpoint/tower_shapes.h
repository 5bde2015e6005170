#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/internal_names.h"
#include "declip/config.h"

namespace declip {

/// Demands tensors by internal name and shape. Throws Error(kWeights) naming
/// file, key, expected and found.
class ShapeChecker {
 public:
  explicit ShapeChecker(const TowerTensors& weights) : weights_(weights) {}

  /// Where a size is known from the tensors alone.
  const TowerTensors& weights() const { return weights_; }

  void need(const std::string& name, const std::vector<int64_t>& shape);
  /// It may be missing.
  void allow(const std::string& name, const std::vector<int64_t>& shape);
  /// A weight [out, in] or vector [out], and its bias [out].
  void need_pair(const std::string& name, const std::vector<int64_t>& shape);
  /// Refuses every tensor that nobody has asked for.
  void reject_others() const;

 private:
  void check(const std::string& name,
             const at::Tensor& tensor,
             const std::vector<int64_t>& shape);

  const TowerTensors& weights_;
  std::set<std::string> checked_;
};

/// Checks that every tensor the towers of `config` need is there, with its
/// shape and a floating-point type, that the towers hold nothing else, and
/// makes `logit_scale` and `logit_bias` scalars.
/// Throws Error(kWeights) naming file, key, expected and found.
void check_towers(TowerTensors& weights, const ModelConfig& config);

}  // namespace declip

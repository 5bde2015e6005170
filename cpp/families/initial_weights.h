#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>

#include "declip/config.h"

namespace declip {

/// Tensors of a model that has learnt nothing, float32, drawn in the order in
/// which they are asked for.
class InitialWeights {
 public:
  explicit InitialWeights(uint64_t seed);

  void normal(const std::string& name, at::IntArrayRef sizes, double std);
  void zeros(const std::string& name, at::IntArrayRef sizes);
  /// A weight [out, in] and its bias [out].
  void linear(const std::string& name, int64_t out, int64_t in, double std);
  void norm(const std::string& name, int64_t width);

  std::map<std::string, at::Tensor> tensors;

 private:
  at::Generator random_;
};

/// OpenCLIP's transformer: branches that end in the residual stream begin
/// smaller the deeper the model is.
void initial_clip_blocks(InitialWeights& out,
                         const std::string& prefix,
                         int64_t layers,
                         int64_t width,
                         int64_t hidden);

/// CLIP's text tower and the logit scale.
void initial_text_tower(InitialWeights& out, const TextConfig& config);

}  // namespace declip

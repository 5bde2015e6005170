#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace declip {

/// A tensor that learns: a float32 leaf with gradients.
struct Parameter {
  std::string name;
  at::Tensor value;
  bool decays = true;
  double rate = 1;  // share of the learning rate
};

/// L2 norm of all gradients there are, as a scalar tensor.
at::Tensor gradient_norm(const std::vector<Parameter>& parameters);

/// Scales gradients down so that their norm, `norm`, becomes at most `limit`.
void clip_gradients(const std::vector<Parameter>& parameters,
                    double norm,
                    double limit);

/// Adam with decoupled weight decay, bias-corrected (Loshchilov and Hutter,
/// arXiv:1711.05101). A parameter without a gradient is left as it is, by the
/// decay too, and does not count the step.
class AdamW {
 public:
  struct Options {
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-8;
    double weight_decay = 0.1;
  };

  AdamW(std::vector<Parameter> parameters, const Options& options);

  void step(double learning_rate);

  /// Moments and step counts of the parameters that have any:
  /// `exp_avg.NAME`, `exp_avg_sq.NAME`, `steps.NAME` [] float32.
  std::map<std::string, at::Tensor> state() const;

  /// What `tensors`, checked by check_state(), holds under those names.
  void restore(const std::map<std::string, at::Tensor>& tensors);
  /// Throws Error(kWeights) unless every parameter has all three, with shapes
  /// that fit, or none; `path` is for the message.
  void check_state(const std::map<std::string, at::Tensor>& tensors,
                   const std::string& path) const;

 private:
  struct Moments {
    at::Tensor average, square;  // as the parameter
    at::Tensor steps;            // [] float32
  };

  std::vector<Parameter> parameters_;
  std::map<std::string, Moments> moments_;
  Options options_;
};

}  // namespace declip

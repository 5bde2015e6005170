#include "train/detector_norm.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace declip {
namespace {

constexpr char kMean[] = ".running_mean", kVariance[] = ".running_var",
               kCount[] = ".num_batches_tracked";

struct Gatherer : torch::CustomClassHolder {
  explicit Gatherer(GatherNumbers one) : gather(std::move(one)) {}
  GatherNumbers gather;
};

/// [C] as it is multiplied with [N, C, h, w].
at::Tensor planes(const at::Tensor& x) { return x.view({1, -1, 1, 1}); }

/// (x - mean) / deviation * weight + bias, mean and deviation of all ranks'
/// `count` values a channel: their gradients need sums over the ranks.
struct SharedNorm : torch::autograd::Function<SharedNorm> {
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& x,
                            const at::Tensor& weight,
                            const at::Tensor& bias,
                            const at::Tensor& mean,
                            const at::Tensor& inverse,
                            double count,
                            const c10::intrusive_ptr<Gatherer>& ranks) {
    context->save_for_backward({x, weight, mean, inverse});
    context->saved_data["count"] = count;
    context->saved_data["ranks"] = c10::IValue::make_capsule(ranks);
    const auto scale = inverse * weight;
    return x * planes(scale) + planes(bias - mean * scale);
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context,
      const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &mean = saved[2],
               &inverse = saved[3];
    const double count = context->saved_data["count"].toDouble();
    const auto ranks = c10::static_intrusive_pointer_cast<Gatherer>(
        context->saved_data["ranks"].toCapsule());
    const auto& dy = gradients[0];
    const auto unit = (x - planes(mean)) * planes(inverse);
    const auto bias_gradient = dy.sum({0, 2, 3});
    const auto weight_gradient = (dy * unit).sum({0, 2, 3});
    const auto sums = ranks
                          ->gather(at::cat({bias_gradient, weight_gradient})
                                       .to(at::kCPU, at::kDouble))
                          .sum(0)
                          .div(count)
                          .to(x.device(), at::kFloat)
                          .chunk(2);
    torch::autograd::variable_list out(7);
    if (context->needs_input_grad(0)) {
      out[0] = (dy - planes(sums[0]) - unit * planes(sums[1])) *
               planes(inverse * weight);
    }
    out[1] = weight_gradient;
    out[2] = bias_gradient;
    return out;
  }
};

}  // namespace

bool is_running(const std::string& name) {
  return std::ranges::any_of(
      std::array<std::string_view, 3>{kMean, kVariance, kCount},
      [&](std::string_view end) { return name.ends_with(end); });
}

BatchNorms::BatchNorms(const std::map<std::string, at::Tensor>& tensors,
                       double momentum,
                       GatherNumbers gather)
    : tensors_(tensors), momentum_(momentum), gather_(std::move(gather)) {
  for (const auto& [name, tensor] : tensors) {
    if (is_running(name)) running_.emplace(name, tensor.clone());
  }
}

at::Tensor BatchNorms::operator()(const std::string& name,
                                  const at::Tensor& x) {
  if (gather_) return over_ranks(name, x);
  if (x.size(0) == 0) return x;
  auto& mean = running_.at(name + kMean);
  auto& variance = running_.at(name + kVariance);
  running_.at(name + kCount) += 1;
  const bool single = x.numel() == x.size(1);
  const auto kept = single ? variance.clone() : at::Tensor();
  const auto out = at::batch_norm(x,
                                  tensors_.at(name + ".weight"),
                                  tensors_.at(name + ".bias"),
                                  mean,
                                  variance,
                                  /*training=*/true,
                                  momentum_,
                                  kBatchNormEpsilon,
                                  /*cudnn_enabled=*/false);
  if (single) variance.copy_(kept);
  return out;
}

at::Tensor BatchNorms::over_ranks(const std::string& name,
                                  const at::Tensor& x) {
  const auto& weight = tensors_.at(name + ".weight");
  const auto& bias = tensors_.at(name + ".bias");
  const int64_t channels = x.size(1);
  at::Tensor mean, variance;
  double count = 0;
  {
    const c10::NoGradGuard guard;
    // Counts, means and variances of the ranks are put together as in Chan,
    // Golub and LeVeque, "Algorithms for computing the sample variance", 1983.
    const auto own = at::zeros({1 + 2 * channels}, at::kDouble);
    own[0] = x.numel() / channels;
    if (x.numel() > 0) {
      const auto [spread, middle] = at::var_mean(x, {0, 2, 3}, 0);
      own.slice(0, 1, 1 + channels).copy_(middle);
      own.slice(0, 1 + channels).copy_(spread);
    }
    const auto all = gather_(own);
    const auto counts = all.slice(1, 0, 1);
    count = counts.sum().item<double>();
    if (count == 0) return x;
    const auto means = all.slice(1, 1, 1 + channels);
    const auto spreads = all.slice(1, 1 + channels);
    const auto middle = (counts * means).sum(0) / count;
    const auto spread =
        (counts * (spreads + (means - middle).square())).sum(0) / count;
    mean = middle.to(x.device(), at::kFloat);
    variance = spread.to(x.device(), at::kFloat);
    running_.at(name + kMean).lerp_(mean, momentum_);
    if (count > 1) {
      running_.at(name + kVariance)
          .lerp_(variance * (count / (count - 1)), momentum_);
    }
    running_.at(name + kCount) += 1;
  }
  return SharedNorm::apply(x,
                           weight,
                           bias,
                           mean,
                           (variance + kBatchNormEpsilon).rsqrt(),
                           count,
                           c10::make_intrusive<Gatherer>(gather_));
}

}  // namespace declip

#include "train/cat_seg_loss.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace declip {
namespace {

/// Numbers of resized logits in work, in floats; bounds memory alone.
constexpr int64_t kNumbersAtATime = 1 << 22;

struct CatSegLossFunction : torch::autograd::Function<CatSegLossFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& logits,
                            const at::Tensor& labels) {
    const int64_t words = logits.size(1);
    const int64_t height = labels.size(1), width = labels.size(2);
    const auto label = labels.unsqueeze(1);  // (B, 1, H, W)
    const int64_t at_a_time =
        std::max<int64_t>(1, kNumbersAtATime / labels.numel());
    const double count =
        static_cast<double>(labels.numel()) * static_cast<double>(words);
    auto sum = at::zeros({}, logits.options().dtype(at::kDouble));
    auto gradient = at::empty_like(logits);
    for (int64_t from = 0; from < words; from += at_a_time) {
      const int64_t n = std::min(at_a_time, words - from);
      const auto some = logits.slice(1, from, from + n).contiguous();
      const auto z = at::upsample_bilinear2d(some, {height, width}, false);
      const auto here =
          label.ge(from).logical_and_(label.lt(from + n)).to(z.scalar_type());
      const auto row = (label - from).clamp_(0, n - 1);
      sum += at::softplus(z).sum(at::kDouble);
      sum -= (z.gather(1, row) * here).sum(at::kDouble);
      auto slope = at::sigmoid(z);
      slope.scatter_add_(1, row, here.neg()).div_(count);
      gradient.slice(1, from, from + n)
          .copy_(at::upsample_bilinear2d_backward(
              slope, {height, width}, some.sizes(), false));
    }
    context->save_for_backward({gradient});
    return sum.div_(count).to(logits.scalar_type());
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context,
      const torch::autograd::variable_list& upstream) {
    return {context->get_saved_variables()[0] * upstream[0], at::Tensor()};
  }
};

}  // namespace

at::Tensor cat_seg_loss(const at::Tensor& logits, const at::Tensor& labels) {
  return CatSegLossFunction::apply(logits, labels);
}

}  // namespace declip

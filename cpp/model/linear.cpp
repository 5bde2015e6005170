#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string_view>
#include <utility>

#include "model/layers.h"

namespace declip {
namespace {

// LibTorch keeps oneDNN's packed linear layer behind its dispatcher, without a
// C++ header: `reorder` takes a dense CPU weight and gives a packed one.
using Scalars = c10::List<std::optional<at::Scalar>>;
using Reorder = at::Tensor(const at::Tensor&, std::optional<int64_t>);
using Pointwise = at::Tensor(const at::Tensor&,
                             const at::Tensor&,
                             const std::optional<at::Tensor>&,
                             std::string_view,
                             Scalars,
                             std::optional<std::string_view>);

template <class Signature>
std::optional<c10::TypedOperatorHandle<Signature>> find_operator(
    const char* name) {
  const auto handle = c10::Dispatcher::singleton().findSchema({name, ""});
  if (!handle) return {};
  return handle->typed<Signature>();
}

const auto& reorder_operator() {
  static const auto op =
      find_operator<Reorder>("mkldnn::_reorder_linear_weight");
  return op;
}

const auto& linear_operator() {
  static const auto op = find_operator<Pointwise>("mkldnn::_linear_pointwise");
  return op;
}

/// float32 only: half types go through at::linear, which knows what the CPU
/// has.
bool can_pack(const at::Tensor& weight) {
  return weight.is_cpu() && weight.scalar_type() == at::kFloat &&
         at::hasMKLDNN() && reorder_operator() && linear_operator();
}

}  // namespace

Linear::Linear(const at::Tensor& weight, at::Tensor bias)
    : bias_(std::move(bias)), packed_(can_pack(weight)) {
  weight_ = packed_
                ? reorder_operator()->call(weight.contiguous(), std::nullopt)
                : weight;
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  if (!packed_) return at::linear(x, weight_, bias_);
  return linear_operator()->call(
      x,
      weight_,
      bias_.defined() ? std::optional(bias_) : std::nullopt,
      "none",
      Scalars(),
      "");
}

}  // namespace declip

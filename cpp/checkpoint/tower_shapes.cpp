#include "checkpoint/tower_shapes.h"

#include "checkpoint/family.h"

namespace declip {

void ShapeChecker::need(const std::string& name,
                        const std::vector<int64_t>& shape) {
  const auto it = weights_.tensors.find(name);
  if (it == weights_.tensors.end()) {
    weights_.reject(
        name, "is missing, expected shape " + c10::str(at::IntArrayRef(shape)));
  }
  check(name, it->second, shape);
}

void ShapeChecker::allow(const std::string& name,
                         const std::vector<int64_t>& shape) {
  const auto it = weights_.tensors.find(name);
  if (it != weights_.tensors.end()) check(name, it->second, shape);
}

void ShapeChecker::need_pair(const std::string& name,
                             const std::vector<int64_t>& shape) {
  need(name + ".weight", shape);
  need(name + ".bias", {shape[0]});
}

void ShapeChecker::reject_others() const {
  for (const auto& [name, tensor] : weights_.tensors) {
    if (!checked_.contains(name)) {
      weights_.reject(name,
                      "of shape " + c10::str(tensor.sizes()) +
                          " belongs to no tower this package runs; "
                          "its model would give other results here");
    }
  }
}

void ShapeChecker::check(const std::string& name,
                         const at::Tensor& tensor,
                         const std::vector<int64_t>& shape) {
  if (tensor.sizes() != at::IntArrayRef(shape)) {
    weights_.reject(name,
                    "must have shape " + c10::str(at::IntArrayRef(shape)) +
                        ", found " + c10::str(tensor.sizes()));
  }
  if (!tensor.is_floating_point()) {
    weights_.reject(name,
                    std::string("must hold floating-point numbers, found ") +
                        c10::toString(tensor.scalar_type()));
  }
  checked_.insert(name);
}

void check_towers(TowerTensors& weights, const ModelConfig& config) {
  ShapeChecker check(weights);
  config.family->check_shapes(check, config);
  for (const char* name : {"logit_scale", "logit_bias"}) {
    const auto it = weights.tensors.find(name);
    if (it != weights.tensors.end() && it->second.numel() == 1) {
      it->second = it->second.reshape({});  // some files hold [1]
    }
  }
  if (config.text) {
    config.family->text->check_shapes(check, *config.text);
    check.need("logit_scale", {});
  } else {
    check.allow("logit_scale", {});
  }
  check.allow("logit_bias", {});
  check.reject_others();
}

}  // namespace declip

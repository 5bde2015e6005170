#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/StringUtil.h>

#include <map>
#include <string>

#include "declip/error.h"
#include "declip/model.h"
#include "declip/talk2dino.h"
#include "files/weight_files.h"

namespace declip {
namespace {

constexpr const char* kExpected =
    "expected Talk2DINO's text projection: linear_layer.weight and .bias, then "
    "hidden_layers.0.weight and .bias and so on";

Error no_projection(const std::string& path, const std::string& problem) {
  return {ErrorCode::kWeights, path + ": " + kExpected + "; " + problem + "."};
}

}  // namespace

at::Tensor TextProjection::operator()(const at::Tensor& x) const {
  auto out = at::linear(x, weights[0], biases[0]);
  for (size_t i = 1; i < weights.size(); ++i) {
    out = at::linear(out.tanh(), weights[i], biases[i]);
  }
  return out;
}

void check_projection(const TextProjection& projection) {
  const auto& [weights, biases] = projection;
  bool fits = !weights.empty() && weights.size() == biases.size();
  for (size_t i = 0; fits && i < weights.size(); ++i) {
    const auto &w = weights[i], &b = biases[i];
    fits = w.dim() == 2 && b.dim() == 1 && w.numel() > 0 &&
           b.size(0) == w.size(0) && w.scalar_type() == at::kFloat &&
           b.scalar_type() == at::kFloat &&
           (i == 0 || w.size(1) == weights[i - 1].size(0));
  }
  if (fits) return;
  throw Error(ErrorCode::kInvalidArg,
              "A text projection is layers of float32 weights [out, in] and "
              "biases [out], each of which takes what the one before makes.");
}

TextProjection read_text_projection(const std::string& path) {
  const c10::InferenceMode guard;
  auto tensors = read_weight_files(path).tensors;
  TextProjection out;
  const auto take = [&](const std::string& name, int64_t dim) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      throw no_projection(path, "there is no " + name);
    }
    const at::Tensor tensor = found->second;
    tensors.erase(found);
    if (tensor.dim() != dim || tensor.numel() == 0 ||
        !at::isFloatingType(tensor.scalar_type())) {
      throw no_projection(path,
                          c10::str(name,
                                   " must be a float tensor of ",
                                   dim,
                                   " dimensions, found ",
                                   at::toString(tensor.scalar_type()),
                                   " ",
                                   tensor.sizes()));
    }
    auto values = tensor.to(at::kFloat).contiguous().clone();
    if (!at::isfinite(values).all().item<bool>()) {
      throw no_projection(path, name + " has values that are not finite");
    }
    return values;
  };
  const auto layer = [&](const std::string& name) {
    const auto weight = take(name + ".weight", 2);
    const auto bias = take(name + ".bias", 1);
    if (bias.size(0) != weight.size(0) ||
        (!out.weights.empty() && weight.size(1) != out.output())) {
      throw no_projection(
          path,
          c10::str(name,
                   " must take what the layer before makes and have a bias per "
                   "row, found weight ",
                   weight.sizes(),
                   " and bias ",
                   bias.sizes()));
    }
    out.weights.push_back(weight);
    out.biases.push_back(bias);
  };
  layer("linear_layer");
  for (int64_t i = 0;; ++i) {
    const auto name = "hidden_layers." + std::to_string(i);
    if (!tensors.contains(name + ".weight")) break;
    layer(name);
  }
  if (tensors.empty()) return out;
  throw no_projection(path, "found " + tensors.begin()->first + " besides");
}

at::Tensor project_words(const Model& text,
                         const at::Tensor& tokens,
                         int64_t templates,
                         const TextProjection& projection,
                         const Call& call) {
  const c10::InferenceMode guard;
  check_projection(projection);
  if (templates < 1 || tokens.dim() != 2 || tokens.size(0) % templates != 0) {
    throw Error(ErrorCode::kInvalidArg,
                "tokens must have a multiple of `templates` rows.");
  }
  const auto prompts =
      text.encode_text(tokens, /*normalize=*/false, call).to(at::kCPU);
  if (prompts.size(1) != projection.input()) {
    throw Error(ErrorCode::kInvalidArg,
                "The projection takes text embeddings of " +
                    std::to_string(projection.input()) + " numbers, " +
                    text.info().path + " makes " +
                    std::to_string(prompts.size(1)) +
                    ". Give the CLIP that it was trained with as text.model: "
                    "ViT-B/16 for the authors' projections.");
  }
  const auto words = projection(prompts.unflatten(0, {-1, templates}).mean(1));
  return words / words.norm(2, {1}, true).clamp_min(1e-6);
}

}  // namespace declip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "declip/call.h"

namespace declip {

class Model;

// Talk2DINO: words of a CLIP text tower, brought into the space of a DINOv2 by
// a small trained network, are compared with that tower's patches. Barsellotti
// et al., arXiv:2411.19331, github.com/lorebianchi98/Talk2DINO.

/// How windows are made into scores.
struct Talk2DinoOptions {
  /// Adds what the heads of the last block look at ("background cleaning").
  bool clean = false;
  double clean_weight = 0.2;  // lambda, the share of that
  /// Factor on the products of the class token's query and the patches' keys:
  /// as in the authors' code, whose towers have heads of 64 channels.
  double class_scale = 0.125;
};

/// Layers with a tanh between them.
struct TextProjection {
  std::vector<at::Tensor> weights;  // float32 [out, in]
  std::vector<at::Tensor> biases;   // float32 [out]

  int64_t input() const { return weights.front().size(1); }
  int64_t output() const { return weights.back().size(0); }
  /// x [Q, input()] float32 -> [Q, output()], not normalised.
  at::Tensor operator()(const at::Tensor& x) const;
};

/// Reads the authors' file, of torch.save() or safetensors: `linear_layer.*`
/// and then `hidden_layers.0.*` and so on. Nothing of it is run.
/// Throws Error(kWeights) naming tensor, expected and found; Error(kIo).
TextProjection read_text_projection(const std::string& path);

/// Throws Error(kInvalidArg) unless each layer takes what the one before makes.
void check_projection(const TextProjection& projection);

/// Words in the space of the image tower: token ids [Q * templates, L] ->
/// float32 [Q, projection.output()] of length 1. Embeddings of prompts are
/// averaged as they are, neither normalised before nor after, then projected.
/// Throws Error(kInvalidArg) where the text tower's embeddings do not fit.
at::Tensor project_words(const Model& text,
                         const at::Tensor& tokens,
                         int64_t templates,
                         const TextProjection& projection,
                         const Call& call);

}  // namespace declip

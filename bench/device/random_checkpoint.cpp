#include "random_checkpoint.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/util/StringUtil.h>

#include <cmath>
#include <map>
#include <stdexcept>

#include "declip/safetensors.h"

namespace declip::bench {
namespace {

constexpr int64_t kVocabulary = 49408;
constexpr int64_t kContext = 77;

class Weights {
 public:
  std::map<std::string, at::Tensor> tensors;

  void normal(const std::string& name, at::IntArrayRef shape, double std) {
    tensors[name] = std * at::randn(shape, generator_);
  }
  /// A product's weight [out, in] and bias.
  void linear(const std::string& name,
              int64_t out,
              int64_t in,
              double gain = 1,
              const char* separator = ".") {
    normal(name + separator + "weight",
           {out, in},
           gain / std::sqrt(static_cast<double>(in)));
    normal(name + separator + "bias", {out}, 0.02);
  }
  void norm(const std::string& name, int64_t width) {
    normal(name + ".weight", {width}, 0.1);
    tensors[name + ".weight"].add_(1);
    normal(name + ".bias", {width}, 0.02);
  }
  void blocks(const std::string& prefix, int64_t width, int64_t layers) {
    // What a block adds leaves the stream's size as it is.
    const double gain = 1 / std::sqrt(2.0 * static_cast<double>(layers));
    for (int64_t i = 0; i < layers; ++i) {
      const auto block = c10::str(prefix, ".resblocks.", i);
      norm(block + ".ln_1", width);
      linear(block + ".attn.in_proj", 3 * width, width, 1.5, "_");
      linear(block + ".attn.out_proj", width, width, gain);
      norm(block + ".ln_2", width);
      linear(block + ".mlp.c_fc", 4 * width, width);
      linear(block + ".mlp.c_proj", width, 4 * width, gain);
    }
  }

 private:
  at::Generator generator_ = at::detail::createCPUGenerator(/*seed=*/1);
};

double of(int64_t x) { return static_cast<double>(x); }

}  // namespace

double ClipShape::flops() const {
  const double n = of(tokens()), w = of(width), patches = n - 1;
  const double block = 2 * n * w * (12 * w) + 4 * n * n * w;
  return of(layers) * block + 2 * patches * w * (3 * of(patch * patch)) +
         2 * patches * w * of(embed);
}

ClipShape clip_shape(const std::string& name) {
  ClipShape shape;
  shape.name = name;
  if (name == "vit-b-16") return shape;
  if (name == "vit-l-14") {
    shape.patch = 14;
    shape.width = 1024;
    shape.layers = 24;
    shape.embed = shape.text_width = 768;
    return shape;
  }
  if (name == "tiny") {
    shape.image = 64;
    shape.width = 128;
    shape.layers = 4;
    shape.embed = shape.text_width = 64;
    shape.text_layers = 2;
    return shape;
  }
  throw std::runtime_error(
      "a model is 'vit-b-16', 'vit-l-14' or 'tiny', not '" + name + "'");
}

void write_random_checkpoint(const ClipShape& shape, const std::string& path) {
  Weights w;
  const double small = 1 / std::sqrt(of(shape.width));
  w.normal("visual.conv1.weight",
           {shape.width, 3, shape.patch, shape.patch},
           1 / std::sqrt(3 * of(shape.patch * shape.patch)));
  w.normal("visual.class_embedding", {shape.width}, 0.5);
  w.normal("visual.positional_embedding", {shape.tokens(), shape.width}, 0.5);
  w.norm("visual.ln_pre", shape.width);
  w.blocks("visual.transformer", shape.width, shape.layers);
  w.norm("visual.ln_post", shape.width);
  w.normal("visual.proj", {shape.width, shape.embed}, small);
  w.normal("token_embedding.weight", {kVocabulary, shape.text_width}, 0.5);
  w.normal("positional_embedding", {kContext, shape.text_width}, 0.5);
  w.blocks("transformer", shape.text_width, shape.text_layers);
  w.norm("ln_final", shape.text_width);
  w.normal("text_projection",
           {shape.text_width, shape.embed},
           1 / std::sqrt(of(shape.text_width)));
  w.tensors["logit_scale"] = at::scalar_tensor(std::log(1 / 0.07), at::kFloat);
  write_safetensors(path, w.tensors, {{"format", "pt"}});
}

}  // namespace declip::bench

#include "families/initial_weights.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

namespace declip {
namespace {

double root(int64_t x) { return std::sqrt(static_cast<double>(x)); }

}  // namespace

InitialWeights::InitialWeights(uint64_t seed)
    : random_(at::detail::createCPUGenerator(seed)) {}

void InitialWeights::normal(const std::string& name,
                            at::IntArrayRef sizes,
                            double std) {
  tensors.emplace(name, at::randn(sizes, random_, at::kFloat).mul_(std));
}

void InitialWeights::zeros(const std::string& name, at::IntArrayRef sizes) {
  tensors.emplace(name, at::zeros(sizes, at::kFloat));
}

void InitialWeights::linear(const std::string& name,
                            int64_t out,
                            int64_t in,
                            double std) {
  normal(name + ".weight", {out, in}, std);
  zeros(name + ".bias", {out});
}

void InitialWeights::norm(const std::string& name, int64_t width) {
  tensors.emplace(name + ".weight", at::ones({width}, at::kFloat));
  zeros(name + ".bias", {width});
}

void initial_clip_blocks(InitialWeights& out,
                         const std::string& prefix,
                         int64_t layers,
                         int64_t width,
                         int64_t hidden) {
  const double attention = 1 / root(width);
  const double branch = attention / root(2 * layers);
  for (int64_t i = 0; i < layers; ++i) {
    const auto block = prefix + "transformer.resblocks." + std::to_string(i);
    out.norm(block + ".ln_1", width);
    out.normal(block + ".attn.in_proj_weight", {3 * width, width}, attention);
    out.zeros(block + ".attn.in_proj_bias", {3 * width});
    out.linear(block + ".attn.out_proj", width, width, branch);
    out.norm(block + ".ln_2", width);
    out.linear(block + ".mlp.c_fc", hidden, width, 1 / root(2 * width));
    out.linear(block + ".mlp.c_proj", width, hidden, branch);
  }
}

void initial_text_tower(InitialWeights& out, const TextConfig& t) {
  out.normal("text.token_embedding.weight", {t.vocab, t.width}, 0.02);
  out.normal("text.positional_embedding", {t.context, t.width}, 0.01);
  initial_clip_blocks(out, "text.", t.layers, t.width, 4 * t.width);
  out.norm("text.ln_final", t.width);
  out.normal("text.text_projection", {t.width, t.embed_dim}, 1 / root(t.width));
  out.tensors.emplace("logit_scale",
                      at::full({}, std::log(1 / 0.07), at::kFloat));
}

}  // namespace declip
